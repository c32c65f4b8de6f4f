"""Servers of OpenAI's protocol: real ones in processes of their own, and one that answers as a test tells it to."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from agent.stack.ports import free_port, until_listening

KEY = "open-sesame"
WINDOW = 512
SLOTS = 2


@dataclass(frozen=True)
class RealServer:
    """A server in a process of its own."""

    address: str

    @property
    def base_url(self) -> str:
        return f"{self.address}/v1"

    async def decoded_until_idle(self) -> int:
        """Tokens that llama.cpp was last seen to have written, once no slot is at work any more."""
        decoded = 0
        async with httpx.AsyncClient(base_url=self.address, headers={"Authorization": f"Bearer {KEY}"}) as client:
            while busy := [slot for slot in (await client.get("/slots")).json() if slot["is_processing"]]:
                decoded = max(decoded, *(token["n_decoded"] for slot in busy for token in slot["next_token"]))
                await asyncio.sleep(0.01)
        return decoded


@asynccontextmanager
async def llamacpp_server(model: Path) -> AsyncIterator[RealServer]:
    """llama.cpp's own server, which the embedded engine runs, too; it wants KEY."""
    async with _process("-m", __name__, str(model), stdin=asyncio.subprocess.PIPE) as process:
        yield RealServer((await process.stdout.readline()).decode().strip())


@asynccontextmanager
async def llama_cpp_python_server(model: Path) -> AsyncIterator[RealServer]:
    """The server of llama-cpp-python; it wants no key."""
    port = free_port()
    settings = {"model": model, "port": port, "n_ctx": WINDOW, "n_threads": 1}
    options = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    async with _process("-m", "llama_cpp.server", *options) as process:
        listening, ended = asyncio.create_task(until_listening(port)), asyncio.create_task(process.wait())
        await asyncio.wait({listening, ended}, return_when=asyncio.FIRST_COMPLETED)
        assert not ended.done()
        ended.cancel()
        yield RealServer(f"http://127.0.0.1:{port}")


@asynccontextmanager
async def _process(*arguments: str, stdin: int = asyncio.subprocess.DEVNULL) -> AsyncIterator[Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What an answer is written with; the connection is closed after it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def json(self, status: int, body: Any, **headers: str) -> None:
        await self._head(status, "application/json", **headers)
        self.writer.write(json.dumps(body).encode())

    async def events(self, *events: Any) -> None:
        """Begins an answer of `events`, each a chunk; `end` ends it as it should be."""
        await self._head(200, "text/event-stream", **{"Transfer-Encoding": "chunked"})
        for event in events:
            self._chunk(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode())
        await self.writer.drain()

    async def end(self) -> None:
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    async def until_left(self) -> None:
        """Returns once the caller has closed the connection."""
        with suppress(ConnectionError):
            while await self.reader.read(1_024):
                pass

    def _chunk(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def _head(self, status: int, content_type: str, **headers: str) -> None:
        lines = {"Content-Type": content_type, "Connection": "close", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.writer.write(f"HTTP/1.1 {status} So\r\n{head}\r\n".encode())


Answer = Callable[[Reply], Awaitable[None]]


@dataclass
class ScriptedServer:
    """Lists `models`, and gives each question the next of `answers`."""

    models: Answer
    answers: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """A question has arrived."""
    base_url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, path, _ = head.split()
            self.asked.append(Asked(path, headers, json.loads(body or b"{}")))
            if method == "POST":
                self.arrived.set()
            answer = self.answers.pop(0) if method == "POST" else self.models
            await answer(Reply(reader, writer))
            await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    @property
    def questions(self) -> list[Asked]:
        """What was asked of its model."""
        return [asked for asked in self.asked if asked.body]


@asynccontextmanager
async def scripted_server(*answers: Answer, models: Answer | None = None) -> AsyncIterator[ScriptedServer]:
    """A server that lists the model `tiny`, unless told otherwise, and then answers in turn."""
    server = ScriptedServer(models or lists({"id": "tiny"}), list(answers))
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.base_url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    async with listener:
        yield server


def lists(*models: dict[str, Any]) -> Answer:
    """Answers with a list of models."""
    return says(200, {"object": "list", "data": list(models)})


def says(status: int, body: Any, **headers: str) -> Answer:
    """Answers with a status and JSON."""

    async def answer(reply: Reply) -> None:
        await reply.json(status, body, **headers)

    return answer


def writes(*words: str, finish: str | None = "stop", usage: Any = None, then: Answer | None = None) -> Answer:
    """Answers with `words`, one a chunk, and ends; or does what comes `then` in place of an end."""

    async def answer(reply: Reply) -> None:
        chunks = [{"choices": [{"index": 0, "delta": {"content": word}, "text": word}]} for word in words]
        last = [{"choices": [{"index": 0, "delta": {}, "text": "", "finish_reason": finish}]}] if finish else []
        told = [{"choices": [], "usage": usage}] if usage else []
        if then:
            await reply.events(*chunks)
            await then(reply)
            return
        await reply.events(*chunks, *last, *told)
        await reply.end()

    return answer


async def breaks_off(reply: Reply) -> None:
    """Closes the connection, answer or no answer."""
    await reply.writer.drain()
    reply.writer.close()


def _serve_llamacpp(model: str) -> None:
    """Serves `model` until stdin ends."""
    import xllamacpp  # noqa: PLC0415 - only this process needs it

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * WINDOW
    params.n_batch = params.n_ubatch = 64
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_ram_mib = 0
    params.fit_params = params.warmup = False
    params.verbosity = -1
    params.endpoint_slots = True
    params.api_keys = [KEY]
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201 - whoever started this reads it
    sys.stdin.read()
    os._exit(0)  # freeing the server may hang for ever


if __name__ == "__main__":
    _serve_llamacpp(sys.argv[1])
