"""The one terminal reply that ends a run, and what it is made of."""

from __future__ import annotations

from pydantic import JsonValue

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.terms import AudioFormat, FinishReason, ReplyMode, Stage, Status
from agent.contract.wire import WireModel


class ErrorBody(WireModel):
    """Why a request was not answered as asked."""

    code: ErrorCode
    """Stable, for programs."""
    message: str
    """One sentence, for people."""
    stage: Stage | None = None
    """Where it failed."""
    field: str | None = None
    """The field of the request at fault."""
    reason: str | None = None
    """A finer code, where one helps."""
    retriable: bool = False
    """Whether the same request may succeed later."""
    retry_after_ms: int | None = None
    """When to try again [ms]."""
    queue_depth: int | None = None
    """With `busy`: requests waiting or running there."""
    limit: int | float | None = None
    """The limit that was passed, in the unit `message` names."""
    actual: int | float | None = None
    """What was asked for, in the same unit."""
    missing_keys: tuple[str, ...] | None = None
    """With `template_invalid`: places for which there is nothing."""
    unused_keys: tuple[str, ...] | None = None
    """With `template_invalid`: what there is no place for."""

    @classmethod
    def of(cls, error: ContractError) -> ErrorBody:
        """The wire form of `error`."""
        return cls(
            code=error.code,
            message=error.message,
            stage=error.stage,
            field=error.field,
            reason=error.reason,
            retriable=error.retriable,
            retry_after_ms=error.retry_after_ms,
            queue_depth=error.queue_depth,
            limit=error.limit,
            actual=error.actual,
            missing_keys=error.missing_keys or None,
            unused_keys=error.unused_keys or None,
        )


class SegmentBody(WireModel):
    """A stretch of what was heard."""

    text: str
    """The words."""
    start_ms: int
    """From the start of the clip [ms]."""
    end_ms: int
    """From the start of the clip [ms]."""


class TranscriptBody(WireModel):
    """What was heard."""

    text: str
    """The words."""
    language: str | None = None
    """The language they were heard in."""
    language_probability: float | None = None
    """How sure the engine is of the language, 0 to 1; only where it had to find out."""
    duration_ms: int | None = None
    """Length of the clip [ms]."""
    segments: tuple[SegmentBody, ...] | None = None
    """The words with their times, where the engine tells."""


class AudioBody(WireModel):
    """Speech, mono."""

    data: str | None = None
    """Base64 of it; left out where it went ahead in chunks."""
    format: AudioFormat = AudioFormat.WAV
    """How it is written down."""
    sample_rate: int
    """Samples a second [Hz]."""
    duration_ms: int
    """Length [ms]."""
    chunks: int | None = None
    """How many messages it went ahead in."""


class Context(WireModel):
    """How full the language model's window was."""

    prompt_tokens: int | None = None
    """Tokens of the conversation, system prompt included, where the engine counts them."""
    window: int | None = None
    """Tokens the model can hold, answer included, where they are known."""
    dropped_messages: int | None = None
    """Earlier messages of the conversation that did not fit, and were left out or told in short."""


class Usage(WireModel):
    """What the language model read and wrote."""

    prompt_tokens: int
    """Tokens read."""
    completion_tokens: int
    """Tokens written."""


class Timings(WireModel):
    """How long each step took [ms]; a step that was not run is left out."""

    queue: float | None = None
    """From arrival to the start of the run."""
    stt: float | None = None
    """Speech to text."""
    llm_first_token: float | None = None
    """From the start of the language model to its first words."""
    llm: float | None = None
    """The language model, start to end."""
    tts_first_audio: float | None = None
    """From arrival to the first sound of the answer."""
    tts: float | None = None
    """Text to speech, all sentences together."""
    total: float | None = None
    """From arrival to this reply."""


class Rates(WireModel):
    """How fast each engine was."""

    prefill_tok_s: float | None = None
    """Prompt tokens a second."""
    decode_tok_s: float | None = None
    """Answer tokens a second."""
    stt_rtf: float | None = None
    """Time to transcribe, as a share of the clip's length."""
    tts_rtf: float | None = None
    """Time to speak, as a share of the speech's length."""


class EngineNames(WireModel):
    """Which engine and model answered, a stage each."""

    stt: str | None = None
    """Speech to text."""
    llm: str | None = None
    """Language model."""
    tts: str | None = None
    """Text to speech."""


class Reply(WireModel):
    """The terminal reply: the one message that ends a run."""

    v: int = 1
    """Version of the contract."""
    id: str
    """The request's id."""
    session_id: str | None = None
    """As asked."""
    status: Status
    """How the run ended."""
    reply_mode: ReplyMode = ReplyMode.TEXT
    """As asked."""
    transcript: TranscriptBody | None = None
    """What was heard, where the question was spoken."""
    text: str | None = None
    """The answer."""
    speech_text: str | None = None
    """The answer as it was spoken: without Markdown, links, emoji; left out where that is `text`."""
    heard_text: str | None = None
    """With `cancelled`, of an answer that was being spoken: how far into `text` the caller heard it."""
    finish_reason: FinishReason | None = None
    """Why the answer ended."""
    audio: AudioBody | None = None
    """The answer, spoken."""
    context: Context | None = None
    """How full the window was."""
    usage: Usage | None = None
    """Tokens read and written."""
    timings_ms: Timings | None = None
    """Where the time went."""
    rates: Rates | None = None
    """How fast the engines were."""
    engines: EngineNames | None = None
    """Who answered."""
    result: dict[str, JsonValue] | None = None
    """What an operator's call gave."""
    error: ErrorBody | None = None
    """Why not, where `status` is not `ok`; what was produced before stays in the reply."""
    replayed: bool = False
    """The stored reply of an id that was already answered."""
    agent: str
    """The agent's name."""
    metadata: dict[str, JsonValue] | None = None
    """As asked."""
