"""The ways to ask: each takes a case, and the question as a WAV file where it is spoken, and brings the answer."""

from __future__ import annotations

import asyncio
import http.client
import re
import uuid
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from http import HTTPStatus
from typing import Literal
from urllib.parse import unquote

from agent.client import AgentClient, NoReply
from agent.contract.base64 import decode_base64, encode_base64
from agent.contract.messages import Request
from agent.contract.reply import Reply, Timings
from agent.contract.terms import Operation, ReplyMode, Status
from agent.demo.cases import Answer, BrokenAnswer, Case
from agent.stack import DEMO_USER, Stack
from agent.stack.ports import HOST

_CALL_TIMEOUT_S = 90.0

Protocol = Literal["5", "3.1.1"]
Way = Callable[[Stack, Case, bytes | None], Awaitable[Answer]]


async def speak(stack: Stack, text: str) -> bytes:
    """`text` as a WAV file, in the agent's own voice."""
    reply = await _reply(stack, Request(text=text, reply_mode=ReplyMode.AUDIO), Operation.SPEAK, "5")
    if reply.audio is None or reply.audio.data is None:
        raise BrokenAnswer(f"the agent could not speak the question: {_why(reply)}")
    return decode_base64(reply.audio.data)


async def ask(way: str, stack: Stack, case: Case, clip: bytes | None) -> Answer:
    """The answer over `way`; BrokenAnswer where none came."""
    try:
        return await WAYS[way](stack, case, clip)
    except (BrokenAnswer, NoReply, OSError, http.client.HTTPException) as exc:
        raise BrokenAnswer(f"{case.name} over {way}: {exc}") from exc


async def _over_mqtt(protocol: Protocol, stack: Stack, case: Case, clip: bytes | None) -> Answer:
    audio = encode_base64(clip) if clip else None
    alone = uuid.uuid4().hex  # or the same question, asked again, would be answered from memory
    question = Request(text=None if clip else case.question, audio=audio, reply_mode=case.mode, session_id=alone)
    return _answer(await _reply(stack, question, Operation.CHAT, protocol))


async def _over_http(stack: Stack, case: Case, clip: bytes | None) -> Answer:
    return await asyncio.to_thread(_post, stack.http_port, case, clip)


WAYS: dict[str, Way] = {
    "MQTT 5": partial(_over_mqtt, "5"),
    "MQTT 3.1.1": partial(_over_mqtt, "3.1.1"),
    "HTTP": _over_http,
}


async def _reply(stack: Stack, request: Request, operation: Operation, protocol: Protocol) -> Reply:
    async with AgentClient(stack.mqtt(protocol=protocol), topics=stack.topics, client=DEMO_USER) as client:
        return await client.ask(request, operation=operation)


def _post(port: int, case: Case, clip: bytes | None) -> Answer:
    """Typed: JSON both ways. Spoken: a WAV file goes, and the answer is a WAV file too where it is to be heard."""
    question = Request(text=case.question, reply_mode=case.mode)
    accept = "audio/wav" if clip and case.mode.heard else "application/json"
    headers = {"Content-Type": "audio/wav" if clip else "application/json", "Accept": accept}
    with closing(http.client.HTTPConnection(HOST, port, timeout=_CALL_TIMEOUT_S)) as connection:
        connection.request("POST", "/v1/ask", clip or question.encode(), headers)
        response = connection.getresponse()
        body = response.read()
    if response.status != HTTPStatus.OK:
        raise BrokenAnswer(f"HTTP {response.status}: {body[:300].decode('utf-8', 'replace')}")
    if accept == "application/json":
        return _answer(Reply.decode(body))
    return Answer(
        unquote(response.headers.get("EdgeVoice-Text", "")),
        transcript=unquote(response.headers.get("EdgeVoice-Transcript", "")),
        speech=body,
        timings=_timings(response.headers.get("Server-Timing", "")),
    )


def _timings(header: str) -> Timings:
    return Timings(**{name: float(ms) for name, ms in re.findall(r"(\w+);dur=([0-9.]+)", header)})


def _answer(reply: Reply) -> Answer:
    if reply.status is not Status.OK:
        raise BrokenAnswer(_why(reply))
    return Answer(
        reply.text or "",
        transcript=reply.transcript.text if reply.transcript else None,
        speech=decode_base64(reply.audio.data) if reply.audio and reply.audio.data else None,
        timings=reply.timings_ms or Timings(),
    )


def _why(reply: Reply) -> str:
    return f"{reply.error.code.value}: {reply.error.message}" if reply.error else reply.status.value
