"""The bridge one would write first, `python -m benchmarks.peers.naive_bridge SETTINGS AGENT PORT`: a client each."""

from __future__ import annotations

import queue
import sys
import uuid
from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI, HTTPException, Response
from pydantic_core import to_json

from agent.contract.terms import Operation
from agent.contract.topics import Topics
from agent.mqtt.settings import MqttSettings
from agent.stack import DEMO_USER
from agent.stack.ports import HOST
from benchmarks.paho_client import QOS, subscribed

_PATIENCE_S = 60.0
_GATEWAY_TIMEOUT = 504


def naive_app(settings: MqttSettings, topics: Topics) -> FastAPI:
    """Asks the agent of `topics`."""
    app = FastAPI()

    @app.post("/v1/ask")
    def ask(asked: Annotated[dict[str, Any], Body()]) -> Response:
        """Connects, subscribes, asks, waits on one of the server's threads, and hangs up."""
        request_id = asked.setdefault("id", uuid.uuid4().hex)
        replies: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        with subscribed(settings, topics.reply(DEMO_USER, request_id), replies.put) as client:
            client.publish(topics.request(DEMO_USER, Operation.CHAT), to_json(asked), QOS)
            try:
                return Response(replies.get(timeout=_PATIENCE_S), media_type="application/json")
            except queue.Empty:
                raise HTTPException(_GATEWAY_TIMEOUT) from None

    return app


if __name__ == "__main__":
    app = naive_app(MqttSettings.model_validate_json(sys.argv[1]), Topics(agent=sys.argv[2]))
    uvicorn.run(app, host=HOST, port=int(sys.argv[3]), access_log=False, log_level="warning")
