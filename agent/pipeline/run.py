"""One pass from request to reply: the order of the stages, what came of each so far, the terminal reply."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from agent.audio import Audio, encode_wav
from agent.contract.base64 import decode_base64, encode_base64
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.events import Event, EventType
from agent.contract.messages import (
    AudioBody,
    Context,
    EngineNames,
    ErrorBody,
    Message,
    Rates,
    Reply,
    Timings,
    TranscriptBody,
    Usage,
)
from agent.contract.terms import FinishReason, ReplyMode, Role, Stage, Status
from agent.errors import Cancelled, Expired
from agent.journal.requests import Admitted
from agent.pipeline.stages import Answer, Heard, Spoken, Stages

Emit = Callable[[Event], None]
"""Where a run's events go, in order."""

_ENDS = {
    ErrorCode.CANCELLED: (Status.CANCELLED, FinishReason.CANCELLED),
    ErrorCode.EXPIRED: (Status.EXPIRED, FinishReason.DEADLINE),
}


@dataclass
class Run:
    """A request being answered."""

    admitted: Admitted
    stages: frozenset[Stage]
    deadline_ms: int
    emit: Emit | None = None
    """None where the caller wants no events."""
    arrived: float = field(default_factory=time.monotonic)
    """On the monotonic clock [s]."""
    _performing: asyncio.Task[None] | None = None
    reply_topics: dict[str, bytes | None] = field(default_factory=dict)
    """Where the terminal reply goes, with the correlation data wanted there."""
    _cancelled: bool = False
    _events: int = 0
    _transcript: TranscriptBody | None = None
    _text: str | None = None
    _finish_reason: FinishReason | None = None
    _audio: AudioBody | None = None
    _context: Context | None = None
    _usage: Usage | None = None
    _timings: dict[str, float] = field(default_factory=dict)
    _rates: dict[str, float] = field(default_factory=dict)
    _engines: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reply_topics.setdefault(self.admitted.reply_topic, self.admitted.correlation_data)

    @property
    def key(self) -> tuple[str, str]:
        """What makes it one request: its client and its id."""
        return self.admitted.client, self.admitted.id

    @property
    def reply_mode(self) -> ReplyMode:
        """What the caller gets: as asked of a chat, and what else there is of a single stage."""
        if Stage.LLM in self.stages:
            return self.admitted.request.reply_mode
        return ReplyMode.AUDIO if Stage.TTS in self.stages else ReplyMode.TEXT

    @property
    def elapsed_ms(self) -> float:
        """Since the request arrived [ms]."""
        return (time.monotonic() - self.arrived) * 1_000

    def cancel(self) -> None:
        """Stops the run; its terminal reply says so."""
        self._cancelled = True
        if self._performing:
            self._performing.cancel()

    async def perform(
        self, stages: Stages, turn: AbstractAsyncContextManager[None], *, system: str, max_tokens: int
    ) -> None:
        """Waits for its `turn` and passes through the stages, until the deadline; what was produced is in `reply`.

        Raises ContractError; CancelledError only where the agent itself stops it.
        """

        async def in_turn() -> None:
            async with turn:
                self._timings["queue"] = self.elapsed_ms
                await self._pass(stages, system, max_tokens)

        if self._cancelled:
            raise Cancelled
        self._performing = asyncio.current_task()
        try:
            # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
            left_s = (self.deadline_ms - self.elapsed_ms) / 1_000
            await asyncio.wait_for(in_turn(), max(0.0, left_s))
        except asyncio.TimeoutError as exc:
            raise Expired(self.deadline_ms) from exc
        except asyncio.CancelledError as exc:
            if self._cancelled:
                raise Cancelled from exc
            raise
        finally:
            self._performing = None

    async def _pass(self, stages: Stages, system: str, max_tokens: int) -> None:
        """Transcribes if it was spoken, chats, synthesizes if it is to be heard."""
        request = self.admitted.request
        if Stage.STT in self.stages:
            self.tell(EventType.STT_START)
            self._heard(await stages.transcribe(self._clip(), language=request.language))
        if Stage.LLM in self.stages:
            self.tell(EventType.LLM_START)
            sampling = request.params.model_copy(update={"max_tokens": request.params.max_tokens or max_tokens})
            self._answered(
                await stages.chat(self._messages(system), sampling, on_text=self._wrote, published=bool(self.emit))
            )
        if Stage.TTS in self.stages:
            self.tell(EventType.TTS_START)
            await self._spoke(await stages.synthesize(self._text or request.text or "", request.tts))

    def reply(self, agent: str, error: ContractError | None = None) -> Reply:
        """The terminal reply, with whatever was produced so far."""
        status, finish_reason = Status.OK, self._finish_reason
        if error:
            status, finish_reason = _ENDS.get(error.code, (Status.ERROR, self._finish_reason))
        timings = {**self._timings, "total": self.elapsed_ms}
        return Reply(
            id=self.admitted.id,
            session_id=self.admitted.request.session_id,
            status=status,
            reply_mode=self.reply_mode,
            transcript=self._transcript,
            text=self._text or None,
            finish_reason=finish_reason,
            audio=self._audio,
            context=self._context,
            usage=self._usage,
            timings_ms=Timings(**{name: round(ms, 1) for name, ms in timings.items()}),
            rates=Rates(**{name: round(rate, 3) for name, rate in self._rates.items()}) if self._rates else None,
            engines=EngineNames(**self._engines) if self._engines else None,
            error=ErrorBody.of(error) if error else None,
            agent=agent,
            metadata=self.admitted.request.metadata or None,
        )

    def _clip(self) -> bytes:
        if self.admitted.clip is not None:
            return self.admitted.clip
        return decode_base64(self.admitted.request.audio or "")

    def _messages(self, system: str) -> list[Message]:
        request = self.admitted.request
        asked = request.messages or [
            Message(role=Role.USER, content=self._transcript.text if self._transcript else request.text or "")
        ]
        system = request.system or system
        if not system or asked[0].role is Role.SYSTEM:
            return asked
        return [Message(role=Role.SYSTEM, content=system), *asked]

    def _heard(self, heard: Heard) -> None:
        self._transcript = TranscriptBody(text=heard.transcript.text, language=heard.transcript.language)
        self._timings["stt"] = heard.seconds * 1_000
        self._rates["stt_rtf"] = heard.seconds / heard.clip_s
        self._engines["stt"] = heard.engine
        self.tell(EventType.STT_END, text=heard.transcript.text, language=heard.transcript.language)

    def _wrote(self, piece: str) -> None:
        if not piece:
            self._text = None
            return
        self._text = (self._text or "") + piece
        self.tell(EventType.TOKEN, delta=piece)

    def _answered(self, answer: Answer) -> None:
        end = answer.end
        self._text = answer.text
        self._finish_reason = end.finish_reason
        self._usage = Usage(prompt_tokens=end.prompt_tokens, completion_tokens=end.completion_tokens)
        if answer.window:
            self._context = Context(prompt_tokens=end.prompt_tokens, window=answer.window)
        self._timings["llm_first_token"] = answer.first_token_s * 1_000
        self._timings["llm"] = answer.seconds * 1_000
        for name, rate in (("prefill_tok_s", end.prefill_tok_s), ("decode_tok_s", end.decode_tok_s)):
            if rate is not None:
                self._rates[name] = rate
        self._engines["llm"] = answer.engine
        self.tell(EventType.LLM_END, text=answer.text)

    async def _spoke(self, spoken: Spoken) -> None:
        self._audio = await asyncio.to_thread(_audio_body, spoken.audio, self.admitted.request.tts.sample_rate)
        self._timings["tts"] = spoken.seconds * 1_000
        self._rates["tts_rtf"] = spoken.seconds / max(spoken.audio.duration_s, 0.001)
        self._engines["tts"] = spoken.engine
        self.tell(EventType.TTS_END)

    def tell(
        self, event: EventType, *, text: str | None = None, language: str | None = None, delta: str | None = None
    ) -> None:
        """Emits `event` to whoever listens."""
        if not self.emit:
            return
        t_ms = round(self.elapsed_ms, 1)
        self.emit(
            Event(
                type=event, id=self.admitted.id, seq=self._events, t_ms=t_ms, text=text, language=language, delta=delta
            )
        )
        self._events += 1


def _audio_body(speech: Audio, sample_rate: int | None) -> AudioBody:
    rate = sample_rate or speech.sample_rate
    return AudioBody(
        data=encode_base64(encode_wav(speech, sample_rate=rate)),
        sample_rate=rate,
        duration_ms=round(speech.duration_s * 1_000),
    )
