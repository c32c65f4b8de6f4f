"""A file spoken to the agent as a device would: piece by piece, at the pace of speech."""

from __future__ import annotations

import asyncio
import time
import wave
from pathlib import Path

from agent.client import AgentClient
from agent.client.arrivals import Arrivals
from agent.commands import CommandError
from agent.commands._answer import Answer
from agent.contract.messages import UploadStart

_PIECE_S = 0.1


def pieces(path: Path) -> list[bytes]:
    """The file in pieces of a tenth of a second. OSError or CommandError where it cannot be had."""
    clip = path.read_bytes()
    try:
        with wave.open(str(path)) as read:
            size = round(read.getframerate() * _PIECE_S) * read.getsampwidth() * read.getnchannels()
    except (wave.Error, EOFError, RuntimeError) as exc:
        raise CommandError(f"{path} is not spoken live: a WAV file of PCM is needed ({exc})") from exc
    return [clip[at : at + size] for at in range(0, len(clip), size)]


async def speak(client: AgentClient, start: UploadStart, clip: list[bytes], answer: Answer) -> None:
    """Sends `clip` as it would be recorded, and shows the answer."""
    arrivals = Arrivals()
    async with client.upload(start, listener=arrivals) as upload:
        telling = asyncio.create_task(_tell(arrivals, answer))
        try:
            began = time.monotonic()
            for number, piece in enumerate(clip):
                await asyncio.sleep(began + number * _PIECE_S - time.monotonic())
                await upload.send(piece)
            reply = await upload.end()
            arrivals.end(reply)
            await telling
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
    answer.tell(reply)


async def _tell(arrivals: Arrivals, answer: Answer) -> None:
    while part := await arrivals.next():
        answer.tell(part)
