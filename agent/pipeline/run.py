"""One pass from request to reply: the order of the stages, its events, its deadline, its end by cancel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from agent.contract.errors import ContractError
from agent.contract.events import Event, EventType
from agent.contract.limits import DEFAULT_DEADLINE_MS
from agent.contract.reply import Reply
from agent.contract.terms import ReplyMode, Stage
from agent.errors import Cancelled, CancelReason, Expired
from agent.journal.entries import Admitted, ReplyTo, RunKey
from agent.pipeline.draft import Draft
from agent.pipeline.stages import Stages

Emit = Callable[[Event], None]
"""Where a run's events go, in order."""


class Run:
    """A request being answered."""

    def __init__(
        self, admitted: Admitted, plan: frozenset[Stage], emit: Emit | None = None, *, age_s: float = 0.0
    ) -> None:
        """`plan`: the stages it passes. `emit` None: the caller wants no events. `age_s`: since it arrived."""
        self.admitted = admitted
        self.plan = plan
        self.reply_to: set[ReplyTo] = {admitted.reply_to}
        """Everywhere the terminal reply is wanted."""
        self._emit = emit
        self._arrived = time.monotonic() - age_s
        self._deadline_ms = admitted.request.deadline_ms or DEFAULT_DEADLINE_MS
        self._draft = Draft()
        self._events = 0
        self._position: int | None = None
        self._cancelled: CancelReason | None = None
        self._performing: asyncio.Task[None] | None = None
        self.begun = False
        """Whether it had its turn."""

    @property
    def key(self) -> RunKey:
        """What makes it one request."""
        return self.admitted.key

    @property
    def overdue_s(self) -> float:
        """How long ago its deadline passed [s]; 0 where it did not."""
        return max(0.0, -self._left_s)

    @property
    def is_cancelled(self) -> bool:
        """Whether it is being stopped, or is."""
        return self._cancelled is not None

    def cancel(self, reason: CancelReason = "caller") -> None:
        """Stops the run, wherever it is; its terminal reply says so."""
        if self._cancelled:
            return
        self._cancelled = reason
        if self._performing:
            self._performing.cancel()

    async def perform(self, stages: Stages, turn: AbstractAsyncContextManager[None]) -> None:
        """Waits for its `turn` and passes the stages, until the deadline; what was produced is in `reply`.

        Raises ContractError; CancelledError only where the agent itself stops it.
        """
        if self._cancelled:
            raise Cancelled(self._cancelled)
        self._performing = asyncio.current_task()
        try:
            # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
            await asyncio.wait_for(self._pass_in(turn, stages), max(0.0, self._left_s))
        except asyncio.TimeoutError as exc:
            raise Expired(self._deadline_ms) from exc
        except asyncio.CancelledError as exc:
            if self._cancelled:
                raise Cancelled(self._cancelled) from exc
            raise
        finally:
            self._performing = None

    def reply(self, agent: str, error: ContractError | None = None) -> Reply:
        """The terminal reply, with whatever was produced so far."""
        return self._draft.reply(self.admitted, self._reply_mode, agent=agent, total_ms=self._elapsed_ms, error=error)

    def tell(self, event: EventType, **details: Any) -> None:
        """Emits `event`, with those of its fields that belong to it, to whoever listens."""
        if not self._emit:
            return
        number, self._events = self._events, self._events + 1
        self._emit(Event(type=event, id=self.key.id, seq=number, t_ms=round(self._elapsed_ms, 1), **details))

    def waits(self, position: int, eta_ms: int | None) -> None:
        """So many will begin before it, and it then, as far as can be told; told to whoever listens where it is new."""
        if position != self._position:
            self._position = position
            self.tell(EventType.QUEUED, position=position, eta_ms=eta_ms)

    def began(self) -> None:
        """The answer begins; also where it begins again, after a crash."""
        self._draft.text = ""

    def wrote(self, piece: str) -> None:
        """The next piece of the answer."""
        self._draft.text += piece
        self.tell(EventType.TOKEN, delta=piece)

    @property
    def is_read(self) -> bool:
        """Whether somebody reads the answer as it is written."""
        return self._emit is not None

    async def _pass_in(self, turn: AbstractAsyncContextManager[None], stages: Stages) -> None:
        async with turn:
            self.begun = True
            self._draft.waited(self._elapsed_ms)
            await self._pass(stages)

    async def _pass(self, stages: Stages) -> None:
        """Transcribes if it was spoken, chats, synthesizes if it is to be heard."""
        request, question = self.admitted.request, self.admitted.request.text or ""
        if Stage.STT in self.plan:
            self._enter(EventType.STT_START)
            heard = await stages.transcribe(
                self.admitted.clip or b"", language=request.language, prompt=request.stt.prompt or ""
            )
            question = heard.transcript.text
            self._draft.heard(heard)
            self.tell(EventType.STT_END, text=question, language=heard.transcript.language)
        if Stage.LLM in self.plan:
            self._enter(EventType.LLM_START)
            answer = await stages.chat(request, question, self)
            self._draft.answered(answer)
            self.tell(EventType.LLM_END, text=answer.text)
        if Stage.TTS in self.plan:
            self._enter(EventType.TTS_START)
            self._draft.spoke(await stages.synthesize(self._draft.text or question, request.tts))
            self.tell(EventType.TTS_END)

    def _enter(self, stage_start: EventType) -> None:
        """A stage begins, unless it is too late."""
        if self._left_s <= 0:
            raise Expired(self._deadline_ms)
        self.tell(stage_start)

    @property
    def _left_s(self) -> float:
        return (self._deadline_ms - self._elapsed_ms) / 1_000

    @property
    def _elapsed_ms(self) -> float:
        return (time.monotonic() - self._arrived) * 1_000

    @property
    def _reply_mode(self) -> ReplyMode:
        """As asked of a chat, and what else there is of a single stage."""
        if Stage.LLM in self.plan:
            return self.admitted.request.reply_mode
        return ReplyMode.AUDIO if Stage.TTS in self.plan else ReplyMode.TEXT
