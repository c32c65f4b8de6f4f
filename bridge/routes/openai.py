"""`/v1/chat/completions`, `/chat/completions` and `/v1/models`: the agent for clients of OpenAI's API."""

from __future__ import annotations

import time
import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from fastapi import Request as HttpRequest

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Message, Request
from agent.contract.presence import Info
from agent.contract.reply import Reply
from agent.contract.terms import Operation, Status
from bridge.access.access import check_access
from bridge.intake import deadline_of, key_of, read_json
from bridge.openai.documentation import CHAT_PATHS, CHAT_REQUEST, CHAT_RESPONSES, OPENAI_PROBLEMS
from bridge.openai.errors import failed, unsupported
from bridge.openai.messages import Conversation, read_conversation
from bridge.openai.models import Model, ModelList, models_of, name_of, no_model
from bridge.openai.parameters import ChatRequest
from bridge.openai.requests import format_of, to_request
from bridge.openai.responses import in_messages, in_openai
from bridge.openai.stream import ChatStream
from bridge.state import AgentDep, State, opened
from bridge.streaming import LiveAnswer
from bridge.workers.roll import Key

router = APIRouter(tags=["openai"], dependencies=[Depends(check_access)])
ModelName = Annotated[str, Path(description="One of those that `/v1/models` lists.")]
_PATH = CHAT_PATHS[0]
_SPOKEN_APART = uuid.UUID("0f6f2c5e-6f0d-4d0b-9d53-6f4b0f8a2f11")


async def complete(http: HttpRequest) -> Response:
    """Answer a conversation, as OpenAI's clients ask for it; `stream` tells the answer while it is written.

    The last message may be spoken (`input_audio`), and so may the answer (`modalities` with `audio`). The key is one
    of the bridge; `Idempotency-Key` is the request's id, and whoever hangs up stops its run.
    """
    bridge, key = opened(http), key_of(http)
    began = time.monotonic()
    chat = ChatRequest.decode(await read_json(http))
    in_array = _wants_array(http, chat)
    conversation = read_conversation(chat.messages)
    info, deadline_ms = bridge["agent"].info, deadline_of(bridge)
    request = to_request(chat, conversation, info).model_copy(update={"id": key.id, "deadline_ms": deadline_ms})
    if heard_as := format_of(chat):
        await heard_as.check_known()
    if conversation.clip and request.audio is None:
        heard = await _hear(http, bridge, conversation.clip, key, deadline_ms)
        if heard.status is not Status.OK:
            return failed(heard, _PATH)
        left_ms = max(1, deadline_ms - round((time.monotonic() - began) * 1_000))
        request = request.model_copy(update={"messages": _said(conversation, heard), "deadline_ms": left_ms})
    model = name_of(request.model, info)
    if request.stream:
        form = ChatStream(key.id, model=model, path=_PATH, spoken=chat.spoken, with_usage=chat.with_usage)
        return LiveAnswer(form, request, key, bridge["waiting"], agent=bridge["settings"].agent)
    reply = await bridge["waiting"].ask(request, key, http.receive)
    if reply.status is not Status.OK:
        return failed(reply, _PATH)
    if in_array:
        return in_messages(reply)
    return in_openai(reply, model, heard=await heard_as.in_base64(reply) if heard_as else None)


for _path in CHAT_PATHS:
    # As in `bridge.routes.ask`: the first of the two is what runs, the other is there to be documented.
    router.add_route(_path, complete, methods=["POST"], include_in_schema=False)
    router.add_api_route(
        _path,
        complete,
        methods=["POST"],
        summary="Answer a conversation, as OpenAI does",
        responses=CHAT_RESPONSES,
        openapi_extra=CHAT_REQUEST,
        response_model=None,
        operation_id="chat" + _path.replace("/", "_"),
    )


@router.get("/v1/models", summary="The agent's language models, as OpenAI lists them", responses=OPENAI_PROBLEMS)
async def list_models(agent: AgentDep) -> ModelList:
    """`default` is the one of requests that name none."""
    return ModelList(data=tuple(models_of(_known(agent.info)).values()))


@router.get("/v1/models/{name:path}", summary="One of the agent's language models", responses=OPENAI_PROBLEMS)
async def find_model(name: ModelName, agent: AgentDep) -> Model:
    """404: there is none of that name."""
    model = models_of(_known(agent.info)).get(name)
    if model is None:
        raise no_model(name)
    return model


def _wants_array(http: HttpRequest, chat: ChatRequest) -> bool:
    """Whether the answer is to be an array of messages, as servers before OpenAI's had it."""
    match http.query_params.get("format"):
        case None | "openai":
            return False
        case "messages":
            if chat.stream:
                raise unsupported("stream", "an array of messages comes whole")
            return True
        case other:
            raise unsupported("format", f"messages or openai, not {other[:40]!r}", value=True)


async def _hear(http: HttpRequest, bridge: State, clip: str, key: Key, deadline_ms: int) -> Reply:
    """What is said in a clip that is not all there is to ask. The same for the same key."""
    apart = Key(key.client, uuid.uuid5(_SPOKEN_APART, key.id).hex)
    request = Request(id=apart.id, audio=clip, deadline_ms=deadline_ms)
    return await bridge["waiting"].ask(request, apart, http.receive, operation=Operation.TRANSCRIBE)


def _said(conversation: Conversation, heard: Reply) -> list[Message]:
    return list(conversation.heard(heard.transcript.text if heard.transcript else ""))


def _known(info: Info | None) -> Info:
    if info is None:
        raise ContractError(ErrorCode.AGENT_OFFLINE, "the agent has not said yet which models it has")
    return info
