"""Ask four questions, typed and spoken, over MQTT and HTTP, and show how they are answered."""

from __future__ import annotations

import argparse
import array
import asyncio
import http.client
import io
import re
import sys
import wave
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent.broker import HOST
from agent.client import AgentClient, NoReply
from agent.commands import CommandError
from agent.commands.settings import load
from agent.commands.up import fetch_model
from agent.contract.base64 import decode_base64, encode_base64
from agent.contract.messages import Reply, Request, Timings
from agent.contract.terms import Operation, ReplyMode, Status
from agent.settings import Settings
from agent.stack import DEMO_USER, Stack, StackSettings, until_signalled

SMALL_MODEL = (
    "The language model is a very small one, for trying things out: it is quick, and often wrong. "
    "README.md says how to use a better one."
)
_CALL_TIMEOUT_S = 90.0
_QUIET = 500
_SECONDS_A_WORD = (0.1, 1.2)
_COLUMNS = 100
WAYS = ("MQTT 5", "MQTT 3.1.1", "HTTP")


@dataclass(frozen=True)
class Case:
    """One way to ask and to be answered, and how a real answer is told from a broken one."""

    name: str
    question: str
    spoken: bool
    mode: ReplyMode


@dataclass(frozen=True)
class Answer:
    """What came back, whichever way."""

    text: str
    timings: Timings
    transcript: str | None = None
    speech: bytes | None = None
    """A WAV file."""


CASES = (
    Case("text → text", "What is the capital of France?", spoken=False, mode=ReplyMode.TEXT),
    Case("voice → text", "What is the capital of Japan?", spoken=True, mode=ReplyMode.TEXT),
    Case("text → voice", "What is the capital of Germany?", spoken=False, mode=ReplyMode.AUDIO),
    Case("voice → voice", "What is the largest ocean?", spoken=True, mode=ReplyMode.AUDIO),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the speech goes."""
    default = Path(".edgevoice") / "demo"
    parser.add_argument("--out", type=Path, default=default, metavar="FOLDER", help=f"for WAVs (default: {default})")


def run(args: argparse.Namespace) -> int:
    """0 where every answer is a real one."""
    return asyncio.run(until_signalled(_demo(load(), args.out, Console())))


async def _demo(settings: Settings, folder: Path, console: Console) -> int:
    fetch_model(settings)
    console.print("Starting broker, agent and bridge …")
    async with Stack(StackSettings(agent=settings.agent, home=settings.home)) as stack:
        console.print(
            f"Ready: MQTT on {HOST}:{stack.broker.port}, HTTP on {stack.url}. Logs in {stack.folder}/.\n",
            soft_wrap=True,
        )
        tables = await _Asking(stack, folder, console).all()
    console.print("\n[bold]How it went[/] (milliseconds a stage)\n")
    for table in tables:
        Console(width=max(console.width, _COLUMNS)).print(table)
    console.print(SMALL_MODEL, soft_wrap=True)
    return 0


class _Asking:
    """Asks every case every way, and shows each answer as it comes."""

    def __init__(self, stack: Stack, folder: Path, console: Console) -> None:
        self._stack = stack
        self._folder = folder
        self._console = console

    async def all(self) -> list[Table]:
        """A table for each case, a row for each answer; CommandError at the first that is not a real one."""
        return [await self._case(case) for case in CASES]

    async def _case(self, case: Case) -> Table:
        folder = self._folder / re.sub("[^a-z]+", "-", case.name)
        folder.mkdir(parents=True, exist_ok=True)
        clip = await self._speak(case.question) if case.spoken else None
        if clip:
            (folder / "question.wav").write_bytes(clip)
        self._console.print(f"[bold]{case.name}[/]: {case.question}")
        answers = {}
        for way in WAYS:
            self._console.print(f"  {way:10} ", end="")
            answers[way] = answer = await self._ask(way, case, clip)
            check(case, answer)
            self._console.print(escape(" ".join(answer.text.split())), soft_wrap=True)
            if answer.speech:
                (folder / _file_name(way)).write_bytes(answer.speech)
        return _table(case, answers, folder)

    async def _ask(self, way: str, case: Case, clip: bytes | None) -> Answer:
        try:
            if way == "HTTP":
                return await asyncio.to_thread(_over_http, self._stack.http_port, case, clip)
            return await self._over_mqtt("5" if way == "MQTT 5" else "3.1.1", case, clip)
        except (CommandError, NoReply, OSError, http.client.HTTPException) as exc:
            raise CommandError(f"{case.name} over {way}: {exc}") from exc

    async def _over_mqtt(self, protocol: Literal["5", "3.1.1"], case: Case, clip: bytes | None) -> Answer:
        question = Request(text=None if clip else case.question, audio=_base64(clip), reply_mode=case.mode)
        return _answer(await self._reply(question, Operation.CHAT, protocol))

    async def _speak(self, text: str) -> bytes:
        """The question as a WAV file, in the agent's own voice."""
        reply = await self._reply(Request(text=text, reply_mode=ReplyMode.AUDIO), Operation.SPEAK, "5")
        if reply.audio is None:
            raise CommandError(f"the agent could not speak the question: {_why(reply)}")
        return decode_base64(reply.audio.data)

    async def _reply(self, request: Request, operation: Operation, protocol: Literal["5", "3.1.1"]) -> Reply:
        mqtt = self._stack.mqtt(protocol=protocol)
        async with AgentClient(mqtt, topics=self._stack.topics, client=DEMO_USER) as client:
            return await client.ask(request, operation=operation)


def _table(case: Case, answers: dict[str, Answer], folder: Path) -> Table:
    heard = next((f", heard as “{answer.transcript}”" for answer in answers.values() if answer.transcript), "")
    files = f", speech in {folder}/" if case.spoken or case.mode.heard else ""
    title = f"[bold]{case.name}[/]: “{case.question}”{escape(heard)}{escape(files)}"
    table = Table(title=title, title_justify="left", title_style="", box=box.SIMPLE_HEAD, expand=True)
    table.add_column("over", no_wrap=True)
    table.add_column("answered", no_wrap=True, ratio=1)
    for name in ("STT", "1st word", "LLM", "TTS", "total ms"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("speech", no_wrap=True)
    for way, answer in answers.items():
        times = answer.timings
        stages = (times.stt, times.llm_first_token, times.llm, times.tts, times.total)
        milliseconds = ["" if value is None else f"{value:.0f}" for value in stages]
        table.add_row(
            way, escape(" ".join(answer.text.split())), *milliseconds, _file_name(way) if answer.speech else ""
        )
    return table


def _file_name(way: str) -> str:
    return f"{way.lower().replace(' ', '-')}.wav"


def _over_http(port: int, case: Case, clip: bytes | None) -> Answer:
    """Typed: JSON both ways. Spoken: a WAV file goes, and the answer is a WAV file too where it is to be heard."""
    question = Request(text=case.question, reply_mode=case.mode)
    accept = "audio/wav" if clip and case.mode.heard else "application/json"
    headers = {"Content-Type": "audio/wav" if clip else "application/json", "Accept": accept}
    with closing(http.client.HTTPConnection(HOST, port, timeout=_CALL_TIMEOUT_S)) as connection:
        connection.request("POST", "/v1/ask", clip or question.encode(), headers)
        response = connection.getresponse()
        body = response.read()
    if response.status != HTTPStatus.OK:
        raise CommandError(f"HTTP {response.status}: {body[:300].decode('utf-8', 'replace')}")
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
        raise CommandError(_why(reply))
    return Answer(
        reply.text or "",
        transcript=reply.transcript.text if reply.transcript else None,
        speech=decode_base64(reply.audio.data) if reply.audio else None,
        timings=reply.timings_ms or Timings(),
    )


def check(case: Case, answer: Answer) -> None:
    """CommandError where the answer is not what a working agent gives."""
    if not answer.text.strip():
        raise CommandError(f"{case.name}: {case.question!r} got an empty answer")
    if case.spoken and not answer.transcript:
        raise CommandError(f"{case.name}: {case.question!r} was not heard")
    if case.mode.heard:
        if not answer.speech:
            raise CommandError(f"{case.name}: the answer has no speech")
        _check_speech(case, answer.speech, words=len(answer.text.split()))


def _check_speech(case: Case, speech: bytes, words: int) -> None:
    try:
        seconds, peak = measure(speech)
    except (wave.Error, EOFError) as exc:
        raise CommandError(f"{case.name}: the speech is not a WAV file: {exc}") from exc
    shortest, longest = _SECONDS_A_WORD
    if peak < _QUIET:
        raise CommandError(f"{case.name}: the speech is silent")
    if not shortest * words < seconds < longest * words + 1:
        raise CommandError(f"{case.name}: {seconds:.1f} s of speech cannot be {words} words")


def measure(speech: bytes) -> tuple[float, int]:
    """Length [s] and largest sample of a 16-bit WAV file."""
    with wave.open(io.BytesIO(speech)) as file:
        frames = file.readframes(file.getnframes())
        samples = array.array("h", frames)
        if sys.byteorder == "big":
            samples.byteswap()
        return file.getnframes() / file.getframerate(), max(map(abs, samples), default=0)


def _base64(clip: bytes | None) -> str | None:
    return encode_base64(clip) if clip else None


def _why(reply: Reply) -> str:
    return f"{reply.error.code.value}: {reply.error.message}" if reply.error else reply.status.value
