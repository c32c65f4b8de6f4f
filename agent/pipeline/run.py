"""One pass from request to reply: the order of the stages, its events, its deadline, its end by cancel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

from agent.contract.errors import ContractError
from agent.contract.events import EventType
from agent.contract.limits import DEFAULT_DEADLINE_MS
from agent.contract.reply import Reply
from agent.contract.terms import ReplyMode, Stage, Status
from agent.errors import Cancelled, CancelReason, Expired
from agent.journal.entries import Admitted, ReplyTo, RunKey, Turn
from agent.pipeline.draft import Draft
from agent.pipeline.hearing import Hearing
from agent.pipeline.history import History, Memory
from agent.pipeline.manner import Manner
from agent.pipeline.played import Played
from agent.pipeline.speech import Speech
from agent.pipeline.stages import Stages
from agent.pipeline.telling import Teller


class Run:
    """A request being answered."""

    def __init__(
        self,
        admitted: Admitted,
        plan: frozenset[Stage],
        teller: Teller,
        *,
        memory: Memory | None = None,
        hearing: Hearing | None = None,
    ) -> None:
        """`plan`: the stages it passes. `teller`: who is told of it meanwhile, and since when.

        `memory`: of the conversation it belongs to. `hearing`: what an engine heard of its clip while it arrived.
        """
        self.admitted = admitted
        self.plan = plan
        self.memory = memory
        """The conversation that it belongs to."""
        self._manner = Manner(admitted.request)
        self._question = admitted.request.text or ""
        self._history = History()
        self.reply_to: set[ReplyTo] = {admitted.reply_to}
        """Everywhere the terminal reply is wanted."""
        self._teller = teller
        self._hearing = hearing
        self._deadline_ms = admitted.request.deadline_ms or DEFAULT_DEADLINE_MS
        self._draft = Draft()
        self._speech: Speech | None = None
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

    def cancel(self, reason: CancelReason = "caller", *, played: Played | None = None) -> None:
        """Stops the run, wherever it is; its terminal reply says so, and what was heard of it by what was `played`."""
        if self._cancelled:
            return
        self._cancelled = reason
        self._draft.heard_text = self._speech.heard(played) if self._speech else None
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
        """The terminal reply, with whatever was produced so far; nothing is told after it."""
        self._teller.close()
        if self._speech and not self._draft.audio:
            self._draft.audio = self._speech.ahead
        total_ms = self._teller.elapsed_ms
        return self._draft.reply(self.admitted, self._reply_mode, agent=agent, total_ms=total_ms, error=error)

    def said(self, reply: Reply) -> Turn | None:
        """What is to be remembered: the question, and the answer as far as its caller had it; both, or None."""
        failed = reply.status is Status.ERROR and reply.finish_reason is None
        cut_off = reply.status is Status.CANCELLED and Stage.TTS in self.plan
        answer = reply.heard_text if cut_off else reply.text
        if failed or not answer or not self._question:
            return None
        return Turn(*(text.replace("\0", "") for text in (self._question, answer)))  # or nobody could ask it again

    def accepted(self) -> None:
        """It was taken on."""
        self._teller.tell(EventType.ACCEPTED)

    def waits(self, position: int, eta_ms: int | None) -> None:
        """So many will begin before it, and it then, as far as can be told; told to whoever listens where it is new."""
        if position != self._position:
            self._position = position
            self._teller.tell(EventType.QUEUED, position=position, eta_ms=eta_ms)

    async def began(self) -> None:
        """The answer begins; also where it begins again, after a crash."""
        if self._draft.text and self._speech:
            await self._speech.restart()
        self._draft.text = ""

    def wrote(self, piece: str) -> None:
        """The next piece of the answer."""
        self._draft.text += piece
        self._teller.wrote(piece)
        if self._speech:
            self._speech.write(piece)

    @property
    def is_followed(self) -> bool:
        """Whether somebody hears of the answer before its end."""
        return self._teller.is_followed

    async def _pass_in(self, turn: AbstractAsyncContextManager[None], stages: Stages) -> None:
        async with turn:
            self.begun = True
            self._draft.waited(self._teller.elapsed_ms)
            await self._pass(stages)

    async def _pass(self, stages: Stages) -> None:
        """Transcribes if it was spoken, chats, synthesizes if it is to be heard: each sentence once it is written."""
        if self.memory:
            self._history = self.memory.recall()
        asks_model = Stage.LLM in self.plan
        self._manner = stages.manners.of(self.admitted.request, self._history.config, asks_model=asks_model)
        if Stage.STT in self.plan:
            self._question = await self._transcribe(stages)
        async with self._speaking(stages) as speech:
            if asks_model:
                await self._chat(stages)
            elif speech:
                await speech.write_all(self._question)
            if speech:
                self._draft.spoke(await speech.finish())

    async def _transcribe(self, stages: Stages) -> str:
        """The question in words."""
        request = self._manner.request
        with self._during(Stage.STT, EventType.STT_START):
            heard = await stages.transcribe(
                self.admitted.clip or b"",
                language=request.language,
                prompt=request.stt.prompt or "",
                hearing=self._hearing,
            )
        self._draft.heard(heard)
        transcript = heard.transcript
        self._teller.tell(EventType.STT_END, text=transcript.text, language=transcript.language)
        return transcript.text

    async def _chat(self, stages: Stages) -> None:
        with self._during(Stage.LLM, EventType.LLM_START):
            answer = await stages.chat(self._manner, self._question, self._history, self)
        self._draft.answered(answer)
        self._teller.tell(EventType.LLM_END, text=answer.text)

    @asynccontextmanager
    async def _speaking(self, stages: Stages) -> AsyncIterator[Speech | None]:
        """What says the answer, where it is to be heard."""
        if Stage.TTS not in self.plan:
            yield None
            return
        heard_in = self._draft.transcript.language if self._draft.transcript else None
        self._speech = Speech(stages.voice(self._manner.request, heard_in), self._teller)
        try:
            yield self._speech
        finally:
            await self._speech.close()

    @contextmanager
    def _during(self, stage: Stage, start: EventType) -> Iterator[None]:
        """A stage begins, unless it is too late."""
        if self._left_s <= 0:
            raise Expired(self._deadline_ms)
        self._teller.tell(start)
        with self._teller.during(stage):
            yield

    @property
    def _left_s(self) -> float:
        return (self._deadline_ms - self._teller.elapsed_ms) / 1_000

    @property
    def _reply_mode(self) -> ReplyMode:
        """As asked of a chat, and what else there is of a single stage."""
        if Stage.LLM in self.plan:
            return self.admitted.request.reply_mode
        return ReplyMode.AUDIO if Stage.TTS in self.plan else ReplyMode.TEXT
