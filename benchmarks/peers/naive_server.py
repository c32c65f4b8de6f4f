"""The server one would write first, `python -m benchmarks.peers.naive_server SETTINGS`: stage after stage, over HTTP.

It hears the whole clip, writes the whole answer, speaks it as one WAV and sends that; then the next one has its turn.
Its engines are those of the agent, with the same options: `kept` in this process's memory, or a process for each stage
of each request, which loads its model and ends; there, speech is made by the command lines `espeak-ng` and `flite`.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import tempfile
import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Protocol

import uvicorn
from fastapi import Depends, FastAPI, Request, Response
from pydantic import BaseModel

from agent.audio import decode_wav, encode_wav
from agent.contract.messages import Message, Sampling
from agent.contract.terms import Role, Stage
from agent.engines.registry import leaf
from agent.model_files.gguf import find_gguf
from agent.settings import Settings
from agent.stack.child import Child
from agent.stack.ports import HOST, free_port, until_listening

_LONGEST_CLIP_S = 60.0
_READY_TIMEOUT_S = 60.0


class NaiveSettings(BaseModel):
    """How it answers."""

    port: int
    kept: bool
    """Whether the engines stay in memory."""
    voice: str
    """Engine of the speech: `espeak` or `flite`."""
    models_dir: Path


class Asked(BaseModel):
    """What comes with a question, in the URL."""

    system: str
    max_tokens: int


class Stages(Protocol):
    """The three steps to an answer."""

    async def hear(self, wav: bytes) -> str:
        """The words in a clip of 16 kHz."""

    async def answer(self, messages: Sequence[Message], max_tokens: int) -> str:
        """The whole of it."""

    async def speak(self, text: str) -> bytes:
        """A WAV file."""


class Kept:
    """Engines that were loaded once."""

    def __init__(self, settings: NaiveSettings) -> None:
        engines: list[Any] = [
            leaf(stage, name)(leaf(stage, name).Options(), settings.models_dir)
            for stage, name in ((Stage.STT, "pocketsphinx"), (Stage.LLM, "llamacpp"), (Stage.TTS, settings.voice))
        ]
        self._stt, self._llm, self._tts = engines

    async def hear(self, wav: bytes) -> str:
        """As the port says."""
        clip = decode_wav(wav, max_s=_LONGEST_CLIP_S)
        heard = await asyncio.to_thread(self._stt.transcribe, clip, language="en", prompt="", cancelled=lambda: False)
        return str(heard.text)

    async def answer(self, messages: Sequence[Message], max_tokens: int) -> str:
        """As the port says."""
        return "".join([delta.text async for delta in self._llm.chat(messages, Sampling(max_tokens=max_tokens))])

    async def speak(self, text: str) -> bytes:
        """As the port says."""
        speech = await asyncio.to_thread(self._tts.synthesize, text, voice=None, speed=1.0, cancelled=lambda: False)
        return encode_wav(speech)


class Started:
    """A process for each step of each request."""

    def __init__(self, settings: NaiveSettings) -> None:
        self._model = str(find_gguf("smollm2-135m", settings.models_dir))
        self._voice = settings.voice

    async def hear(self, wav: bytes) -> str:
        """As the port says."""
        with wave.open(io.BytesIO(wav)) as clip:
            return (await output_of_stage("pocketsphinx", clip.readframes(clip.getnframes()))).decode()

    async def answer(self, messages: Sequence[Message], max_tokens: int) -> str:
        """As the port says."""
        asked = {
            "messages": [{"role": message.role.value, "content": message.content} for message in messages],
            "max_tokens": max_tokens,
            "temperature": 0,  # as the leaf, where a request names none
            "repeat_penalty": 1.1,
        }
        return (await output_of_stage("llamacpp", json.dumps(asked).encode(), self._model)).decode()

    async def speak(self, text: str) -> bytes:
        """As the port says."""
        if self._voice == "espeak":
            return await _output(b"", "espeak-ng", "-v", "en-us", "-s", "165", "--stdout", text)
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            await _output(b"", "flite", "-voice", "slt", "-t", text, "-o", file.name)
            return await asyncio.to_thread(Path(file.name).read_bytes)


@asynccontextmanager
async def serving_naively(folder: Path, voice: str, *, kept: bool) -> AsyncIterator[int]:
    """The port of one in a process of its own, ready; its log is in `folder`."""
    settings = NaiveSettings(port=free_port(), kept=kept, voice=voice, models_dir=Settings().models_dir)
    name = f"naive-{'kept' if kept else 'started'}"
    argv = [sys.executable, "-m", "benchmarks.peers.naive_server", settings.model_dump_json()]
    ready = partial(until_listening, settings.port)
    child = Child(name, argv, log=folder / f"{name}.log", ready=ready, ready_timeout_s=_READY_TIMEOUT_S, grace_s=1.0)
    async with child:
        yield settings.port


async def output_of_stage(library: str, given: bytes, model: str = "") -> bytes:
    """What `benchmarks.peers.stage_process` makes of `given` in a process of its own."""
    return await _output(given, sys.executable, "-m", "benchmarks.peers.stage_process", library, model)


def create_app(stages: Stages) -> FastAPI:
    """Answers `POST /ask`: a WAV file, or text, by a WAV file."""
    app = FastAPI()
    turn = asyncio.Lock()

    @app.post("/ask")
    async def ask(request: Request, asked: Annotated[Asked, Depends()]) -> Response:
        body = await request.body()
        async with turn:
            text = await stages.hear(body) if body.startswith(b"RIFF") else body.decode()
            messages = [
                Message(role=Role.SYSTEM, content=asked.system),
                Message(role=Role.USER, content=text or "I said nothing."),
            ]
            answer = await stages.answer(messages, asked.max_tokens)
            return Response(await stages.speak(answer), media_type="audio/wav")

    return app


async def _output(given: bytes, *argv: str) -> bytes:
    process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate(given)
    if process.returncode:
        raise RuntimeError(f"{argv[0]} ended with {process.returncode}")
    return output


if __name__ == "__main__":
    wanted = NaiveSettings.model_validate_json(sys.argv[1])
    app = create_app(Kept(wanted) if wanted.kept else Started(wanted))
    uvicorn.run(app, host=HOST, port=wanted.port, access_log=False, log_level="warning")
