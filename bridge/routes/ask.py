"""`POST /v1/ask`: one question, typed or spoken, and its one answer, to read or to hear."""

from __future__ import annotations

import uuid
from urllib.parse import quote

from fastapi import APIRouter, Response
from fastapi import Request as HttpRequest

from agent.contract.base64 import decode_base64
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import Limits
from agent.contract.lookup import Found
from agent.contract.messages import Request
from agent.contract.reply import Reply
from agent.contract.terms import ReplyMode, Status
from bridge.access.access import CallerDep
from bridge.errors import NotAcceptable, failed
from bridge.forms import read_request
from bridge.negotiation import JSON, RESPOND_ASYNC, WAV, choose, prefers_async
from bridge.openapi import ASK, ASK_RESPONSES
from bridge.progress import Progress
from bridge.state import AgentDep, SettingsDep, WaitingDep
from bridge.workers.roll import Key

_MAX_HEADER_CHARS = 4_096

router = APIRouter(tags=["ask"])


@router.post("/v1/ask", summary="Ask the agent", openapi_extra=ASK, responses=ASK_RESPONSES, response_model=None)
async def ask(
    http: HttpRequest, caller: CallerDep, agent: AgentDep, waiting: WaitingDep, settings: SettingsDep
) -> Response:
    """Ask by text or by voice; be answered in text, in speech, or both.

    The same `Idempotency-Key` again is the same request: it is not asked twice, and has the same answer. Whoever
    hangs up stops its run, unless another caller waits for it. With `Prefer: respond-async` nobody waits: the answer
    is 202 once the agent has the request, and `Location` says where to ask what became of it.
    """
    asked = await read_request(http)
    key = Key(caller.client, asked.id or uuid.uuid4().hex)
    http.state.request_id = key.id
    later = prefers_async(http.headers.getlist("Prefer"))
    media_type = _media_type(http.headers.get("Accept"), asked, offers=(JSON,) if later else (JSON, WAV))
    limits = agent.info.limits if agent.info else Limits()
    update = {
        "id": key.id,
        "reply_mode": _reply_mode(asked, media_type),
        "deadline_ms": min(asked.deadline_ms or settings.deadline_ms, limits.max_deadline_ms),
        "stream": None,  # one answer cannot carry events
    }
    request = asked.model_copy(update=update)
    if later:
        return _accepted(http, await waiting.begin(request, key), key)
    reply = await waiting.ask(request, key, http.receive)
    if reply.status is not Status.OK:
        return failed(reply)
    return _wav(reply) if media_type == WAV else _json(reply)


def _media_type(accept: str | None, asked: Request, *, offers: tuple[str, ...]) -> str:
    to_be_read = "reply_mode" in asked.model_fields_set and not asked.reply_mode.heard
    offers = (JSON,) if to_be_read else offers
    chosen = choose(accept, offers)
    if chosen is None:
        raise NotAcceptable(f"this answer can be {' or '.join(offers)}, and Accept rules that out")
    return chosen


def _accepted(http: HttpRequest, found: Found, key: Key) -> Response:
    if found.reply and found.reply.status is not Status.OK:
        return failed(found.reply)
    headers = {
        "Location": http.scope.get("root_path", "") + http.app.url_path_for("look_up", request_id=key.id),
        "Preference-Applied": RESPOND_ASYNC,
        "EdgeVoice-Id": key.id,
    }
    return Response(Progress.of(key.id, found, reply=False).encode(), 202, headers, JSON)


def _reply_mode(asked: Request, media_type: str) -> ReplyMode:
    if media_type == WAV and "reply_mode" not in asked.model_fields_set:
        return ReplyMode.AUDIO
    return asked.reply_mode


def _json(reply: Reply) -> Response:
    return Response(reply.encode(), media_type=JSON, headers=_headers(reply))


def _wav(reply: Reply) -> Response:
    if reply.audio is None:
        raise ContractError(ErrorCode.INTERNAL, "the agent answered without speech; ask with Accept: application/json")
    headers = _headers(reply)
    words = {"EdgeVoice-Text": reply.text, "EdgeVoice-Transcript": reply.transcript and reply.transcript.text}
    for name, text in words.items():
        encoded = quote(text or "", safe=" ")
        if 0 < len(encoded) <= _MAX_HEADER_CHARS:  # longer ones break clients; the JSON answer has them
            headers[name] = encoded
    return Response(decode_base64(reply.audio.data), media_type=WAV, headers=headers)


def _headers(reply: Reply) -> dict[str, str]:
    timings = reply.timings_ms.model_dump(exclude_none=True) if reply.timings_ms else {}
    return {
        "EdgeVoice-Id": reply.id,
        "Server-Timing": ", ".join(f"{name};dur={milliseconds}" for name, milliseconds in timings.items()),
    }
