"""`POST /v1/ask`: one question, typed or spoken, and its one answer, to read or to hear, whole or as it comes."""

from __future__ import annotations

import uuid

from fastapi import APIRouter, Depends, Response
from fastapi import Request as HttpRequest

from agent.contract.lookup import Found
from agent.contract.messages import Request, StreamOptions
from agent.contract.terms import AudioFormat, ReplyMode, Status
from bridge.access.access import caller_of, check_access
from bridge.answers import in_json, in_speech
from bridge.documentation import ASK_PATH, ASK_RESPONSES
from bridge.errors import NotAcceptable, failed
from bridge.forms import read_request
from bridge.intake import deadline_of
from bridge.negotiation import JSON, RESPOND_ASYNC, SSE, choose, prefers_async
from bridge.progress import Progress
from bridge.speech import SpeechStream
from bridge.sse import EventStream
from bridge.state import opened
from bridge.streaming import LiveAnswer
from bridge.workers.roll import Key

_FORMATS = {kind.media_type: kind for kind in AudioFormat}

router = APIRouter(tags=["ask"])


async def ask(http: HttpRequest) -> Response:
    """Ask by text or by voice; be answered in text, in speech, or both.

    The same `Idempotency-Key` again is the same request: it is not asked twice, and has the same answer. Whoever
    hangs up stops its run, unless another caller waits for it. With `Prefer: respond-async` nobody waits: the answer
    is 202 once the agent has the request, and `Location` says where to ask what became of it.

    As `text/event-stream` the answer tells what happens while it happens: the events of the contract, `audio` with
    its chunk as base64 in `data`, and last, always, `reply`. As speech with `stream.audio` it begins with the first
    sentence; where the run fails after that, the connection breaks off.
    """
    caller, bridge = caller_of(http), opened(http)
    asked = await read_request(http)
    key = Key(caller.client, asked.id or uuid.uuid4().hex)
    http.state.request_id = key.id
    later = prefers_async(http.headers.getlist("Prefer"))
    media_type = _media_type(http.headers.get("Accept"), (JSON,) if later else _offers(asked))
    info, waiting, settings = bridge["agent"].info, bridge["waiting"], bridge["settings"]
    update = {
        "id": key.id,
        "deadline_ms": deadline_of(bridge, asked.deadline_ms),
        **_told_as(media_type, asked),
    }
    request = asked.model_copy(update=update)
    if later:
        return _accepted(http, await waiting.begin(request, key), key)
    if request.stream:
        form = EventStream(request) if media_type == SSE else SpeechStream(request, info)
        return LiveAnswer(form, request, key, waiting, agent=settings.agent)
    reply = await waiting.ask(request, key, http.receive)
    if reply.status is not Status.OK:
        return failed(reply)
    return in_json(reply) if media_type == JSON else in_speech(reply)


# The first of the two is what runs: to solve the dependencies of the other, which is there to be documented, takes
# FastAPI longer than all that is done here.
router.add_route(ASK_PATH, ask, methods=["POST"], include_in_schema=False)
router.add_api_route(
    ASK_PATH,
    ask,
    methods=["POST"],
    summary="Ask the agent",
    dependencies=[Depends(check_access)],
    responses=ASK_RESPONSES,
    response_model=None,
)


def _offers(asked: Request) -> tuple[str, ...]:
    """The forms of its answer, what it is when anything will do first."""
    if "reply_mode" in asked.model_fields_set and not asked.reply_mode.heard:
        return JSON, SSE
    formats = (asked.tts.format,) if "format" in asked.tts.model_fields_set else AudioFormat
    speech = [kind.media_type for kind in formats]
    if asked.reply_mode is ReplyMode.AUDIO and asked.stream and asked.stream.audio:
        return *speech, JSON, SSE
    return JSON, *speech, SSE


def _media_type(accept: str | None, offers: tuple[str, ...]) -> str:
    chosen = choose(accept, offers)
    if chosen is None:
        raise NotAcceptable(f"this answer can be {' or '.join(offers)}, and Accept rules that out")
    return chosen


def _told_as(media_type: str, asked: Request) -> dict[str, object]:
    """What is asked of the agent so that it can be told as `media_type`."""
    mode, tts, stream = asked.reply_mode, asked.tts, None
    if media_type in _FORMATS:
        mode = mode if mode.heard else ReplyMode.AUDIO
        tts = tts.model_copy(update={"format": _FORMATS[media_type]})
        if asked.stream and asked.stream.audio:
            # Its chunks become one file: a sentence that comes in several would only be joined again.
            stream = asked.stream.model_copy(update={"text": False, "chunk_bytes": None})
    elif media_type == SSE:
        stream = asked.stream or StreamOptions()
        if stream.audio and "reply_mode" not in asked.model_fields_set:
            mode = ReplyMode.BOTH
    return {"reply_mode": mode, "tts": tts, "stream": stream}


def _accepted(http: HttpRequest, found: Found, key: Key) -> Response:
    if found.reply and found.reply.status is not Status.OK:
        return failed(found.reply)
    headers = {
        "Location": http.scope.get("root_path", "") + http.app.url_path_for("look_up", request_id=key.id),
        "Preference-Applied": RESPOND_ASYNC,
        "EdgeVoice-Id": key.id,
    }
    return Response(Progress.of(key.id, found, reply=False).encode(), 202, headers, JSON)
