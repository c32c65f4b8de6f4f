"""A device that sends long clips, one after the other, `python -m benchmarks.clip_sender FORM AGENT SETTINGS`.

It prints a line for each that was answered, and ends once one is not answered as it should be, with that answer on
its standard error.
"""

from __future__ import annotations

import asyncio
import sys
import uuid

from agent.contract.topics import Topics
from agent.mqtt.settings import MqttSettings
from benchmarks.device import Device
from benchmarks.large_clips import failed, senders


async def _send(form: str, topics: Topics, settings: MqttSettings) -> str:
    """Why a clip was not answered; until then it goes on."""
    with Device.connected(settings, topics, str(settings.username)) as device:
        send = senders(device, topics, str(settings.username))[form]
        while True:
            if why := failed(await send(uuid.uuid4().hex)):
                return why
            print("answered", flush=True)


if __name__ == "__main__":
    wanted, agent, broker = sys.argv[1:]
    sys.exit(asyncio.run(_send(wanted, Topics(agent=agent), MqttSettings.model_validate_json(broker))))
