"""The terminal reply as it comes about: what each stage brought, how long it took, who did it."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.reply import (
    AudioBody,
    Context,
    EngineNames,
    ErrorBody,
    Rates,
    Reply,
    SegmentBody,
    Timings,
    TranscriptBody,
    Usage,
)
from agent.contract.terms import FinishReason, ReplyMode, Stage, Status
from agent.journal.entries import Admitted
from agent.pipeline.answering import Answer
from agent.pipeline.speech import Spoken
from agent.pipeline.stages import Heard

_ENDS = {
    ErrorCode.CANCELLED: (Status.CANCELLED, FinishReason.CANCELLED),
    ErrorCode.EXPIRED: (Status.EXPIRED, FinishReason.DEADLINE),
}


@dataclass
class Draft:
    """What there is of a reply so far."""

    transcript: TranscriptBody | None = None
    text: str = ""
    finish_reason: FinishReason | None = None
    audio: AudioBody | None = None
    speech_text: str | None = None
    heard_text: str | None = None
    context: Context | None = None
    usage: Usage | None = None
    timings: dict[str, float] = field(default_factory=dict)
    """By their names in the contract [ms]."""
    rates: dict[str, float] = field(default_factory=dict)
    engines: dict[str, str] = field(default_factory=dict)

    def waited(self, ms: float) -> None:
        """The run had its turn after that long."""
        self.timings["queue"] = ms

    def heard(self, heard: Heard) -> None:
        """Speech to text is done."""
        transcript = heard.transcript
        self.transcript = TranscriptBody(
            text=transcript.text,
            language=transcript.language,
            language_probability=transcript.language_probability,
            duration_ms=round(heard.clip_s * 1_000),
            segments=tuple(
                SegmentBody(text=each.text, start_ms=round(each.start_s * 1_000), end_ms=round(each.end_s * 1_000))
                for each in transcript.segments
            )
            or None,
        )
        self.rates["stt_rtf"] = heard.seconds / heard.clip_s
        self._did(Stage.STT, heard.seconds, heard.engine)

    def answered(self, answer: Answer) -> None:
        """The language model is done."""
        end = answer.end
        self.text = answer.text
        self.finish_reason = end.finish_reason
        self.usage = Usage(prompt_tokens=end.prompt_tokens, completion_tokens=end.completion_tokens)
        if answer.window or answer.dropped:
            self.context = Context(
                prompt_tokens=end.prompt_tokens or None,
                window=answer.window,
                dropped_messages=answer.dropped or None,
            )
        self.timings["llm_first_token"] = answer.first_token_s * 1_000
        for name, rate in (("prefill_tok_s", end.prefill_tok_s), ("decode_tok_s", end.decode_tok_s)):
            if rate is not None:
                self.rates[name] = rate
        self._did(Stage.LLM, answer.seconds, answer.engine)

    def spoke(self, spoken: Spoken) -> None:
        """Text to speech is done."""
        self.audio = spoken.body
        self.speech_text = spoken.text
        self.timings["tts_first_audio"] = spoken.first_audio_ms
        self.rates["tts_rtf"] = spoken.seconds * 1_000 / max(1, spoken.body.duration_ms)
        self._did(Stage.TTS, spoken.seconds, spoken.engine)

    def reply(
        self, admitted: Admitted, mode: ReplyMode, *, agent: str, total_ms: float, error: ContractError | None
    ) -> Reply:
        """The terminal reply, with whatever there is."""
        status, finish_reason = Status.OK, self.finish_reason
        if error:
            status, finish_reason = _ENDS.get(error.code, (Status.ERROR, self.finish_reason))
        timings = {**self.timings, "total": total_ms}
        return Reply(
            id=admitted.key.id,
            session_id=admitted.request.session_id,
            status=status,
            reply_mode=mode,
            transcript=self.transcript,
            text=self.text if self.text or self.finish_reason else None,  # empty before a stop string
            speech_text=self.speech_text if self.text not in {"", self.speech_text} else None,
            heard_text=self.heard_text if status is Status.CANCELLED else None,
            finish_reason=finish_reason,
            audio=self.audio,
            context=self.context,
            usage=self.usage,
            timings_ms=Timings(**{name: round(ms, 1) for name, ms in timings.items()}),
            rates=Rates(**{name: float(f"{rate:.4g}") for name, rate in self.rates.items()}) if self.rates else None,
            engines=EngineNames(**self.engines) if self.engines else None,
            error=ErrorBody.of(error) if error else None,
            agent=agent,
            metadata=admitted.request.metadata or None,
        )

    def _did(self, stage: Stage, seconds: float, engine: str) -> None:
        self.timings[stage.value] = seconds * 1_000
        self.engines[stage.value] = engine
