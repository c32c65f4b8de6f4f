"""Ask an agent through any broker: in text or with a WAV file."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from agent.client import AgentClient, NoReply
from agent.commands import CommandError, checked, utf8
from agent.commands._answer import Answer
from agent.commands._broker import add_broker_arguments, client_of, read_broker
from agent.commands._live import pieces, speak
from agent.contract.base64 import encode_base64
from agent.contract.messages import Request, StreamOptions, UploadStart
from agent.contract.terms import Id, Operation, ReplyMode, Status
from agent.contract.topics import Topics
from agent.contract.wire import bad_request
from agent.mqtt.settings import MqttSettings

_DEADLINE_MS = Annotated[int, Field(ge=1, le=86_400_000)]
_Asking = Callable[[AgentClient, Answer], Awaitable[None]]
_OPERATIONS = (Operation.CHAT.value, Operation.TRANSCRIBE.value, Operation.SPEAK.value)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The question, how to answer it, and the broker; what is left out comes from the environment."""
    parser.add_argument("text", nargs="?", type=utf8, help="the question, typed")
    parser.add_argument("--wav", type=Path, metavar="FILE", help="the question, spoken")
    parser.add_argument("--reply", choices=[mode.value for mode in ReplyMode], help="how to answer (default: text)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the speech goes (default: answer.wav)")
    parser.add_argument("--live", action="store_true", help="send the file in pieces, at the pace of speech")
    parser.add_argument("--stream", action="store_true", help="show, and write to FILE, the answer as it comes")
    parser.add_argument("--session", type=checked(Id), metavar="NAME", help="the conversation it belongs to")
    parser.add_argument("--operation", choices=_OPERATIONS, default=Operation.CHAT.value, help="what to ask for")
    parser.add_argument(
        "--deadline-ms", type=checked(_DEADLINE_MS), metavar="MS", help="when the answer is of no more use"
    )
    add_broker_arguments(parser, user="broker user; it is a level of the request's topic")


def run(args: argparse.Namespace) -> int:
    """0 where the answer came, 1 where it did not."""
    request, out = _request(args), args.out or Path("answer.wav")
    mqtt, topics = read_broker(args)
    if request.reply_mode.heard:
        _check_writable(out)
    with Answer(out) as answer:
        asyncio.run(_answered(mqtt, topics, _live(args, request) if args.live else _whole(args, request), answer))
    return 0 if answer.status is Status.OK else 1


def _request(args: argparse.Namespace) -> Request:
    if (args.text is None) == (args.wav is None):
        raise CommandError("ask either with words or with --wav FILE")
    if args.live and (args.wav is None or args.operation == Operation.SPEAK.value):
        raise CommandError("--live takes --wav FILE, to chat or to transcribe")
    heard = args.out or args.operation == Operation.SPEAK.value
    mode = ReplyMode(args.reply) if args.reply else ReplyMode.BOTH if heard else ReplyMode.TEXT
    try:
        return Request(
            text=args.text,
            audio=encode_base64(args.wav.read_bytes()) if args.wav and not args.live else None,
            session_id=args.session,
            reply_mode=mode,
            deadline_ms=args.deadline_ms,
            stream=StreamOptions(audio=mode.heard) if args.stream else None,
        )
    except ValidationError as exc:
        raise bad_request(exc) from exc


def _whole(args: argparse.Namespace, request: Request) -> _Asking:
    operation = Operation(args.operation)

    async def ask(client: AgentClient, answer: Answer) -> None:
        if not request.stream:
            answer.tell(await client.ask(request, operation=operation))
            return
        async with aclosing(client.stream(request, operation=operation)) as parts:
            async for part in parts:
                answer.tell(part)

    return ask


def _live(args: argparse.Namespace, request: Request) -> _Asking:
    clip, operation = pieces(args.wav), Operation(args.operation)
    # Nobody knows better than we do where the file ends.
    start = UploadStart.model_validate(
        {
            **{name: getattr(request, name) for name in request.model_fields_set},
            "operation": operation,
            "end_silence_ms": 0,
        }
    )
    return lambda client, answer: speak(client, start, clip, answer)


def _check_writable(out: Path) -> None:
    """CommandError where the speech could not be kept, before it is asked for."""
    place = out if out.exists() else out.parent
    if out.is_dir() or not place.exists() or not os.access(place, os.W_OK):
        raise CommandError(f"{out} cannot be written; name another file with --out")


async def _answered(mqtt: MqttSettings, topics: Topics, ask: _Asking, answer: Answer) -> None:
    try:
        async with client_of(mqtt, topics) as client:
            await ask(client, answer)
    except NoReply as exc:
        raise CommandError(f"no reply: {exc}") from exc
