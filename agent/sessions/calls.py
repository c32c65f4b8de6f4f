"""`session`: callers list, read, configure, reset and delete their conversations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Message as Said
from agent.contract.sessions import SessionCall, SessionHistory, SessionInfo, SessionList
from agent.contract.terms import Role, SessionOperation
from agent.contract.wire import WireModel
from agent.intake import Intake
from agent.journal.entries import RunKey, SessionKey
from agent.journal.sessions import Session, Sessions
from agent.mqtt.message import Message
from agent.pipeline.admission import Admission
from agent.replies.calls import Calls
from agent.replies.replies import Replies
from agent.sessions.conversations import Conversations

_MAX_BYTES = 64_000
_MAX_AT_ONCE = 64


class SessionCalls:
    """Answers callers about their own conversations. Calls are not written down: each may be made again.

    What a call changes is one write, so that calls take effect whole, and in the order in which they came.
    """

    def __init__(
        self,
        conversations: Conversations,
        sessions: Sessions,
        admission: Admission,
        *,
        intake: Intake,
        replies: Replies,
        ack: Callable[[Message], None],
    ) -> None:
        self._conversations = conversations
        self._sessions = sessions
        self._admission = admission
        self._intake = intake
        self._replies = replies
        self._ack = ack
        self._calls = Calls(replies, most=_MAX_AT_ONCE)
        self._actions: dict[SessionOperation, Callable[[SessionKey, SessionCall], Awaitable[WireModel]]] = {
            SessionOperation.LIST: self._list,
            SessionOperation.GET: self._get,
            SessionOperation.RESET: self._reset,
            SessionOperation.DELETE: self._delete,
            SessionOperation.CONFIG: self._configure,
        }

    def handle(self, message: Message, client: str) -> None:
        """Takes the call of `client` on; ContractError where it is refused, else it is acknowledged."""
        if len(message.payload) > _MAX_BYTES:
            text = f"the call has {len(message.payload)} bytes; {_MAX_BYTES} are the most"
            raise ContractError(ErrorCode.PAYLOAD_TOO_LARGE, text, limit=_MAX_BYTES, actual=len(message.payload))
        self._calls.check()
        self._replies.check_clear()
        asked = SessionCall.decode(message.payload)
        key = self._key(client, asked)
        request_id, to = self._intake.address(message, client, asked.id, asked.reply_to)
        self._ack(message)
        work = partial(self._actions[asked.op], key, asked)
        self._calls.answer(RunKey(client, request_id), to, work, name=f"session.{asked.op.value}")

    async def close(self) -> None:
        """Leaves what is going on."""
        await self._calls.close()

    def _key(self, client: str, asked: SessionCall) -> SessionKey:
        if key := self._conversations.key(client, asked.session_id):
            return key
        if asked.op is SessionOperation.LIST:
            return SessionKey(client, client)
        message = "name the conversation in `session_id`: requests that name none belong to none"
        raise ContractError(ErrorCode.BAD_REQUEST, message, field="session_id")

    async def _list(self, key: SessionKey, asked: SessionCall) -> SessionList:
        known = self._sessions.of_client(key.client, most=asked.last)
        return SessionList(sessions=[_info(name, turns, session) for name, turns, session in known])

    async def _get(self, key: SessionKey, asked: SessionCall) -> SessionHistory:
        session = self._found(key)
        turns = self._sessions.turns(key)
        told = tuple(
            Said.model_construct(role=role, content=text)
            for _, turn in turns[-asked.last :]
            for role, text in zip((Role.USER, Role.ASSISTANT), turn, strict=True)
        )
        info = _info(key.id, len(turns), session)
        return SessionHistory(**dict(info), messages=told, summary=session.summary)

    async def _reset(self, key: SessionKey, asked: SessionCall) -> SessionInfo:
        self._forget_what_runs(key)
        await self._sessions.reset(key, asked.config)
        return self._told(key)

    async def _delete(self, key: SessionKey, _: SessionCall) -> SessionInfo:
        self._found(key)
        self._forget_what_runs(key)
        await self._sessions.delete(key)
        return SessionInfo(session_id=key.id, turns=0)

    async def _configure(self, key: SessionKey, asked: SessionCall) -> SessionInfo:
        if asked.config is not None:
            await self._sessions.configure(key, asked.config)
        return self._told(key)

    def _told(self, key: SessionKey) -> SessionInfo:
        return _info(key.id, len(self._sessions.turns(key)), self._found(key))

    def _found(self, key: SessionKey) -> Session:
        if session := self._sessions.find(key):
            return session
        raise ContractError(ErrorCode.NOT_FOUND, f"no conversation {key.id} is known", field="session_id")

    def _forget_what_runs(self, key: SessionKey) -> None:
        for run in self._admission.of_client(key.client):
            if run.memory and run.memory.key == key and run.begun:
                run.memory.forgets = True


def _info(name: str, turns: int, session: Session) -> SessionInfo:
    return SessionInfo(
        session_id=name,
        turns=turns,
        created_at=session.created_at,
        used_at=session.used.wall_s,
        config=session.config,
    )
