"""The floor over HTTP, `python -m benchmarks.peers.bare_app PORT`: FastAPI sends each question straight back."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI, Request, Response

from agent.stack.ports import HOST
from benchmarks.peers.echo import REPLY_BYTES

app = FastAPI()


@app.post("/v1/ask")
async def ask(request: Request) -> Response:
    """The beginning of the question."""
    return Response((await request.body())[:REPLY_BYTES], media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(app, host=HOST, port=int(sys.argv[1]), access_log=False, log_level="warning")
