"""What a caller sends."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator
from typing_extensions import Self

from agent.contract.limits import (
    MAX_CHUNK_BYTES,
    MAX_HINT_CHARS,
    MAX_MESSAGES,
    MAX_METADATA_BYTES,
    MAX_STOP_STRINGS,
    MAX_TEMPLATE_CHARS,
    MAX_TEMPLATE_KEYS,
    MAX_TOKENS,
    MIN_CHUNK_BYTES,
)
from agent.contract.terms import AudioFormat, Id, Mode, Operation, Overflow, ReplyMode, Role
from agent.contract.topics import MAX_TOPIC_BYTES
from agent.contract.wire import WireModel


def _sendable(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ValueError("holds what is not UTF-8") from exc
    return text


def _readable(text: str) -> str:
    _sendable(text)
    if not text.strip():
        raise ValueError("is empty")
    return text


def _small_and_finite(metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(json.dumps(metadata, allow_nan=False)) > MAX_METADATA_BYTES:
        raise ValueError(f"is larger than {MAX_METADATA_BYTES} bytes of JSON")
    return metadata


StopString = Annotated[str, Field(min_length=1, max_length=64)]
PlainText = Annotated[str, AfterValidator(_sendable)]
TemplateText = Annotated[str, Field(max_length=MAX_TEMPLATE_CHARS), AfterValidator(_sendable)]
Text = Annotated[str, AfterValidator(_readable)]
Vars = Annotated[dict[str, PlainText], Field(max_length=MAX_TEMPLATE_KEYS)]
"""Key → what goes into its place."""
Metadata = Annotated[dict[str, JsonValue], AfterValidator(_small_and_finite)]


class _Asked(WireModel):
    """Base of what callers write: a field nobody knows is a typing mistake, and said so."""

    model_config = ConfigDict(extra="forbid")


class Message(_Asked):
    """One turn of a conversation."""

    role: Role
    """Who says it."""
    content: Text
    """What is said."""


class Sampling(_Asked):
    """How the language model picks its words; what is left out is the engine's own default."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    """0 always takes the likeliest word; higher is more varied."""
    top_p: float | None = Field(default=None, ge=0.001, le=1)
    """Only the likeliest words that add up to this probability are considered."""
    max_tokens: int | None = Field(default=None, ge=1, le=MAX_TOKENS)
    """Longest answer [tokens]."""
    stop: tuple[StopString, ...] = Field(default=(), max_length=MAX_STOP_STRINGS)
    """The answer ends before any of these texts."""
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """Makes a varied answer repeatable on one engine."""
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Above 0: the more often a word was said, the less likely it is."""
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Above 0: a word that was said is less likely."""
    repetition_penalty: float | None = Field(default=None, ge=0.1, le=2)
    """Above 1: repetition is less likely."""

    def over(self, base: Sampling) -> Sampling:
        """`base`, but for what is said here."""
        return base.model_copy(update=self.model_dump(exclude_none=True, exclude_defaults=True))


class VoiceOptions(_Asked):
    """How an answer is to sound."""

    voice: str | None = Field(default=None, min_length=1, max_length=64)
    """One of the voices in `info`; the engine's first when left out."""
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    """Pace of the speech, relative to the voice's own."""
    sample_rate: int | None = Field(default=None, ge=8_000, le=48_000)
    """Samples a second of the reply's audio [Hz]; the voice's own when left out. Opus takes the next one it knows."""
    format: AudioFormat = AudioFormat.WAV
    """How the reply's audio is written down."""


class HearingOptions(_Asked):
    """How a clip is to be heard."""

    prompt: Text | None = Field(default=None, max_length=MAX_HINT_CHARS)
    """Words that are likely in it: names, places, spelling."""


class StreamOptions(_Asked):
    """What the caller wants to hear of while the run goes on."""

    text: bool = True
    """Events on `…/event`: stages as they start and end, the answer as it is written."""
    audio: bool = False
    """The answer's speech on `…/audio/{chunk}`, sentence by sentence, each playable by itself; then the terminal reply
    has none."""
    chunk_bytes: int | None = Field(default=None, ge=MIN_CHUNK_BYTES, le=MAX_CHUNK_BYTES)
    """Largest chunk [bytes]; a sentence that has more comes in several. One chunk a sentence when left out."""


class Request(_Asked):
    """What a caller asks: exactly one of `text`, `audio` and `messages`, and how to answer."""

    v: int = Field(default=1, ge=1, le=1)
    """Version of the contract."""
    id: Id | None = None
    """The caller's name for the request; the same id again is the same request. Made up when left out."""
    session_id: Id | None = None
    """The conversation this belongs to: what was said in it before is part of the question."""
    reply_mode: ReplyMode = ReplyMode.TEXT
    """Whether the answer is to be read, heard, or both."""
    text: Text | None = None
    """The question, typed."""
    audio: str | None = Field(default=None, min_length=1)
    """The question, spoken: base64 of a WAV file."""
    messages: list[Message] | None = Field(default=None, min_length=1, max_length=MAX_MESSAGES)
    """The question as a whole conversation, last turn last."""
    model: Id | None = None
    """One of the models in `info`; the agent's own when left out."""
    mode: Mode = Mode.CHAT
    """`raw` gives `text` to the model as it is: no instruction, no form of conversation."""
    system: Text | None = None
    """Instruction to the language model, in place of the operator's own."""
    persona: Id | None = None
    """One of the personas in `info`, for what is not said here."""
    template: Id | None = None
    """The prompt template that the question is put into."""
    vars: Vars = Field(default_factory=dict)
    """What goes into the template's other places."""
    on_overflow: Overflow | None = None
    """What becomes of a conversation that does not fit into the model's window; the operator's rule when left out."""
    language: str | None = Field(default=None, pattern=r"^(auto|[a-z]{2,3}(-[A-Za-z]{2,4})?)$")
    """Language of the speech (`en`, `de`, …); `auto` lets the engine find out."""
    reply_to: str | None = Field(default=None, min_length=1, max_length=MAX_TOPIC_BYTES)
    """Topic for the reply, below the caller's own reply prefix."""
    deadline_ms: int | None = Field(default=None, ge=1)
    """Time from arrival after which the answer is of no use [ms]."""
    priority: int = Field(default=0, ge=0, le=9)
    """Of several requests of the caller that wait, the one with the highest goes first."""
    barge_in: bool = False
    """Whatever else of the same conversation arrives, waits or runs is cancelled first."""
    stream: StreamOptions | None = None
    """Present: the caller wants to hear of the run while it goes on."""
    params: Sampling = Sampling()
    """How the language model picks its words."""
    tts: VoiceOptions = VoiceOptions()
    """How the answer is to sound."""
    stt: HearingOptions = HearingOptions()
    """How the clip is to be heard."""
    metadata: Metadata = Field(default_factory=dict)
    """Anything the caller wants back with the reply, unread."""


HOW_IT_IS_ASKED = frozenset({"id", "reply_to", "deadline_ms", "priority", "stream", "barge_in"})
"""Fields that make no other request of it: whoever asks it again may ask in another way."""


class UploadStart(Request):
    """The first message of a clip that arrives in pieces: a request without its question, and how the clip is written.

    `deadline_ms` counts from the clip's end.
    """

    operation: Literal[Operation.CHAT, Operation.TRANSCRIBE] = Operation.CHAT
    """What is to become of the clip."""
    format: Literal[AudioFormat.WAV, AudioFormat.PCM] = AudioFormat.WAV
    """`wav`: the chunks are a file, header first. `pcm_s16le`: they are samples."""
    sample_rate: int | None = Field(default=None, ge=8_000, le=192_000)
    """With `pcm_s16le`: samples a second [Hz]."""
    channels: int = Field(default=1, ge=1, le=2)
    """With `pcm_s16le`: 1 or 2, sample by sample in turn."""
    end_silence_ms: int = Field(default=800, ge=0, le=10_000)
    """So much silence after speech ends the clip by itself [ms]; with 0 only its end does."""

    @model_validator(mode="after")
    def _is_a_start(self) -> Self:
        for name in ("text", "audio", "messages"):
            if getattr(self, name) is not None:
                raise ValueError(f"the clip is the question: leave out {name}")
        if (self.sample_rate is None) == (self.format is AudioFormat.PCM):
            raise ValueError("sample_rate goes with format pcm_s16le, and only there")
        return self

    def request(self) -> Request:
        """What is asked, without how the clip comes."""
        own = UploadStart.model_fields.keys() - Request.model_fields.keys()
        return Request.model_construct(
            self.model_fields_set - own, **{name: getattr(self, name) for name in Request.model_fields}
        )


class UploadEnd(_Asked):
    """The last message of a clip that arrives in pieces."""

    chunks: int | None = Field(default=None, ge=0)
    """How many there were; left out, those that have arrived."""


class Cancel(_Asked):
    """Stops requests of the caller's own: exactly one of the fields says which."""

    id: Id | None = None
    """The request to stop."""
    session_id: Id | None = None
    """Stops all that belong to this conversation."""
    all: Literal[True] | None = None
    """Stops all of them."""
    played_ms: int | None = Field(default=None, ge=0)
    """How much of the answer's speech was played [ms]: the reply's `heard_text` goes so far."""
    last_seq: int | None = Field(default=None, ge=0)
    """The same, as the number of the last chunk that was played to its end."""

    @model_validator(mode="after")
    def _names_one_scope(self) -> Self:
        if len([value for value in (self.id, self.session_id, self.all) if value is not None]) != 1:
            raise ValueError("exactly one of id, session_id and all is needed")
        return self


class Lookup(_Asked):
    """Asks what became of a request of the caller's own."""

    id: Id | None = None
    """The caller's name for this call, whose reply goes to its topic; made up when left out."""
    request_id: Id
    """The request that is meant."""
    reply_to: str | None = Field(default=None, min_length=1, max_length=MAX_TOPIC_BYTES)
    """Topic for the reply, below the caller's own reply prefix."""
