"""Ask an agent through any broker: in text or with a WAV file."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from agent.client import AgentClient, NoReply
from agent.commands import PORT, CommandError, checked
from agent.commands.settings import load
from agent.contract.base64 import decode_base64, encode_base64
from agent.contract.messages import Request
from agent.contract.reply import EngineNames, Reply, Timings
from agent.contract.terms import Id, Operation, ReplyMode, Status, TopicBase
from agent.contract.topics import Topics
from agent.contract.wire import bad_request
from agent.mqtt.settings import MqttSettings

_DEADLINE_MS = Annotated[int, Field(ge=1, le=86_400_000)]
_OPERATIONS = (Operation.CHAT.value, Operation.TRANSCRIBE.value, Operation.SPEAK.value)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The question, how to answer it, and the broker; what is left out comes from the environment."""
    parser.add_argument("text", nargs="?", help="the question, typed")
    parser.add_argument("--wav", type=Path, metavar="FILE", help="the question, spoken")
    parser.add_argument("--reply", choices=[mode.value for mode in ReplyMode], help="how to answer (default: text)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the speech goes (default: answer.wav)")
    parser.add_argument("--operation", choices=_OPERATIONS, default=Operation.CHAT.value, help="what to ask for")
    parser.add_argument(
        "--deadline-ms", type=checked(_DEADLINE_MS), metavar="MS", help="when the answer is of no more use"
    )
    broker = parser.add_argument_group(
        "broker",
        "What is left out is read like the agent's own settings, from EDGEVOICE_MQTT__HOST and so on. A password is "
        "given in EDGEVOICE_MQTT__PASSWORD or in a file, because anyone may read a program's arguments.",
    )
    broker.add_argument("--host")
    broker.add_argument("--port", type=checked(PORT))
    broker.add_argument(
        "--user", type=checked(Id), dest="username", help="broker user; it is a level of the request's topic"
    )
    broker.add_argument("--password-file", type=Path, metavar="FILE")
    broker.add_argument("--protocol", choices=["5", "3.1.1"], help="MQTT version")
    broker.add_argument("--agent", type=checked(Id), metavar="NAME", help="which agent to ask")
    broker.add_argument("--base", type=checked(TopicBase), metavar="TOPIC", help="first levels of every topic")


def run(args: argparse.Namespace) -> int:
    """0 where the answer came, 1 where it did not."""
    settings = load()
    topics = Topics(base=args.base or settings.base, agent=args.agent or settings.agent)
    mqtt, request, out = _broker(args, settings.mqtt), _request(args), args.out or Path("answer.wav")
    mqtt.check_files()
    if request.reply_mode.heard:
        _check_writable(out)
    reply = asyncio.run(_ask(mqtt, topics, request, Operation(args.operation)))
    _show(reply, out)
    return 0 if reply.status is Status.OK else 1


def _broker(args: argparse.Namespace, settings: MqttSettings) -> MqttSettings:
    names = ("host", "port", "username", "password_file", "protocol")
    return settings.model_copy(update={name: getattr(args, name) for name in names if getattr(args, name) is not None})


def _request(args: argparse.Namespace) -> Request:
    if (args.text is None) == (args.wav is None):
        raise CommandError("ask either with words or with --wav FILE")
    if not _is_utf8(args.text or ""):
        raise CommandError("the question is not UTF-8; type it in a terminal that is set to UTF-8")
    heard = args.out or args.operation == Operation.SPEAK.value
    mode = ReplyMode(args.reply) if args.reply else ReplyMode.BOTH if heard else ReplyMode.TEXT
    try:
        return Request(
            text=args.text,
            audio=encode_base64(args.wav.read_bytes()) if args.wav else None,
            reply_mode=mode,
            deadline_ms=args.deadline_ms,
        )
    except ValidationError as exc:
        raise bad_request(exc) from exc


def _is_utf8(text: str) -> bool:
    """Bytes of an argument that could not be decoded are in its text as lone surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _check_writable(out: Path) -> None:
    """CommandError where the speech could not be kept, before it is asked for."""
    place = out if out.exists() else out.parent
    if out.is_dir() or not place.exists() or not os.access(place, os.W_OK):
        raise CommandError(f"{out} cannot be written; name another file with --out")


async def _ask(mqtt: MqttSettings, topics: Topics, request: Request, operation: Operation) -> Reply:
    try:
        async with AgentClient(mqtt, topics=topics, client=mqtt.username or "anonymous") as client:
            return await client.ask(request, operation=operation)
    except NoReply as exc:
        raise CommandError(f"no reply: {exc}") from exc


def _show(reply: Reply, out: Path) -> None:
    if reply.transcript:
        print(f"heard    {reply.transcript.text}")
    if reply.text is not None:
        print(f"answer   {reply.text}")
    if reply.audio:
        out.write_bytes(decode_base64(reply.audio.data))
        print(f"speech   {out} ({reply.audio.duration_ms / 1000:.1f} s)")
    if reply.engines:
        print(f"engines  {_pairs(reply.engines)}")
    if reply.timings_ms:
        print(f"took     {_pairs(reply.timings_ms)}")
    if reply.error:
        sys.stderr.write(f"edgevoice: {reply.error.code.value}: {reply.error.message}\n")


def _pairs(model: EngineNames | Timings) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.0f} ms" if isinstance(value, float) else f"{name} {value}"
        for name, value in model.model_dump(exclude_none=True).items()
    )
