"""Who answers over HTTP: EdgeVoice's bridge, servers that speak OpenAI's way, the naive server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Protocol

import httpx

from agent.contract.base64 import encode_base64
from benchmarks.crowd import Answer

SYSTEM = "You are a helpful assistant."
_DEADLINE_MS = 600_000


class TypedPeer(Protocol):
    """Who answers typed questions, whole or as a stream."""

    async def ask(self, text: str, max_tokens: int) -> Answer:
        """The answer to `text`."""

    async def stream(self, text: str, max_tokens: int) -> str | None:
        """Reads an answer while it is written; why it was broken, None where it was whole."""


class SpokenPeer(Protocol):
    """Who answers spoken questions by speech."""

    async def hear(self, wav: bytes, max_tokens: int) -> Answer:
        """The answer to a clip."""


class Bridge:
    """EdgeVoice, by its bridge."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = f"{url}/v1/ask"

    async def ask(self, text: str, max_tokens: int) -> Answer:
        """As the port says."""
        return await self._ask({"text": text}, max_tokens)

    async def hear(self, wav: bytes, max_tokens: int) -> Answer:
        """As the port says."""
        return await self._ask({"audio": encode_base64(wav), "reply_mode": "audio"}, max_tokens)

    async def stream(self, text: str, max_tokens: int) -> str | None:
        """As the port says."""
        written, reply = "", None
        headers = {"Accept": "text/event-stream"}
        try:
            async with _streamed(self._client, self._url, _request({"text": text}, max_tokens), headers) as lines:
                async for data in lines:
                    told = json.loads(data)
                    written += told.get("delta") or ""
                    reply = told if "status" in told else reply
        except httpx.HTTPError as exc:
            return repr(exc)
        if reply is None or reply["status"] != "ok":
            return f"it ended with {reply}"
        return None if written == reply["text"] else f"{written!r} was told, and then {reply['text']!r}"

    async def _ask(self, given: dict[str, str], max_tokens: int) -> Answer:
        try:
            response = await self._client.post(
                self._url, json=_request(given, max_tokens), headers={"Accept": "application/json"}
            )
        except httpx.HTTPError as exc:
            return Answer(error=repr(exc))
        if response.status_code != HTTPStatus.OK:
            return Answer(error=response.text)
        return Answer(response.json()["usage"]["completion_tokens"])


class ChatServer:
    """A server that speaks as OpenAI's does."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = f"{url}/v1/chat/completions"

    async def ask(self, text: str, max_tokens: int) -> Answer:
        """As the port says."""
        try:
            response = await self._client.post(self._url, json=_completion(text, max_tokens))
        except httpx.HTTPError as exc:
            return Answer(error=repr(exc))
        if response.status_code != HTTPStatus.OK:
            return Answer(error=response.text)
        return Answer(response.json()["usage"]["completion_tokens"])

    async def stream(self, text: str, max_tokens: int) -> str | None:
        """As the port says."""
        finish = None
        request = {**_completion(text, max_tokens), "stream": True}
        try:
            async with _streamed(self._client, self._url, request, {}) as lines:
                async for data in lines:
                    for choice in [] if data == "[DONE]" else json.loads(data).get("choices", []):
                        finish = choice["finish_reason"] or finish
        except httpx.HTTPError as exc:
            return repr(exc)
        return None if finish else "it ended in the middle"


class Naive:
    """`benchmarks.peers.naive_server`."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = f"{url}/ask"

    async def hear(self, wav: bytes, max_tokens: int) -> Answer:
        """As the port says; it does not tell of its tokens."""
        asked = {"system": SYSTEM, "max_tokens": str(max_tokens)}
        try:
            response = await self._client.post(self._url, params=asked, content=wav)
        except httpx.HTTPError as exc:
            return Answer(error=repr(exc))
        return Answer(error=None if response.content.startswith(b"RIFF") else response.text)


def _request(given: dict[str, str], max_tokens: int) -> dict[str, object]:
    return {**given, "system": SYSTEM, "params": {"max_tokens": max_tokens}, "deadline_ms": _DEADLINE_MS}


def _completion(text: str, max_tokens: int) -> dict[str, object]:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
    return {"messages": messages, "max_tokens": max_tokens, "temperature": 0, "repeat_penalty": 1.1}


@asynccontextmanager
async def _streamed(
    client: httpx.AsyncClient, url: str, request: dict[str, object], headers: dict[str, str]
) -> AsyncIterator[AsyncIterator[str]]:
    """The data of each event, as it comes."""

    async def data() -> AsyncIterator[str]:
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                yield line.removeprefix("data:").strip()

    async with client.stream("POST", url, json=request, headers=headers) as response:
        yield data()
