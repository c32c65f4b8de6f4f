"""What OpenAI's clients ask for, and the Request that it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from agent.contract.errors import ContractError
from agent.contract.limits import MAX_TOKENS
from agent.contract.messages import Request, Sampling, StreamOptions, VoiceOptions
from agent.contract.presence import Info
from agent.contract.terms import ReplyMode, Stage
from agent.contract.wire import bad_request
from bridge.openai.errors import unsupported
from bridge.openai.formats import CHAT_FORMATS, SpeechFormat
from bridge.openai.messages import Conversation
from bridge.openai.models import asked_model
from bridge.openai.parameters import AudioOut, ChatRequest

OPENAI_VOICES = frozenset(
    "alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse".split(" ")  # noqa: SIM905 - names
)
_SEEDS = 2**31
_LEAST_TOP_P = 0.001
_REFUSED = {
    "tools": "this agent calls no tools",
    "functions": "this agent calls no functions",
    "logprobs": "this agent does not tell how likely its words were",
    "top_logprobs": "this agent does not tell how likely its words were",
    "logit_bias": "this agent's words cannot be made more or less likely one by one",
    "web_search_options": "this agent does not search the web",
}


def to_request(chat: ChatRequest, conversation: Conversation, info: Info | None) -> Request:
    """What is asked of the agent, without its id and deadline. ContractError for what it cannot do.

    Of a conversation whose clip is not all that was said, the clip is left out: it is to be heard first.
    """
    for error in _cannot(chat):
        raise error
    question: dict[str, Any] = {"messages": list(conversation.turns) or None}
    if conversation.clip:
        question = {}
        if conversation.instruction is not None:
            question = {"audio": conversation.clip, "system": conversation.instruction or None}
    stream = StreamOptions(audio=chat.spoken) if chat.stream else None
    try:
        return Request(
            **question,
            model=asked_model(chat.model, info),
            params=_sampling(chat),
            reply_mode=ReplyMode.BOTH if chat.spoken else ReplyMode.TEXT,
            tts=_voice(chat.audio or AudioOut(), info) if chat.spoken else VoiceOptions(),
            stream=stream,
            on_overflow=chat.on_overflow,
        )
    except ValidationError as exc:
        raise bad_request(exc) from exc


def format_of(chat: ChatRequest) -> SpeechFormat | None:
    """How its answer is to be written down; None where it is not spoken. For what `to_request` has not refused."""
    return CHAT_FORMATS[(chat.audio or AudioOut()).format] if chat.spoken else None


def voice_of(name: str | None, info: Info | None) -> str | None:
    """The agent's voice that `name` means; None for its first."""
    engine = info.engines.get(Stage.TTS) if info else None
    if not name or (name in OPENAI_VOICES and not (engine and name in engine.voices)):
        return None
    return name


def _cannot(chat: ChatRequest) -> Iterator[ContractError]:
    """What is asked that the agent cannot do."""
    for name, why in _REFUSED.items():
        if getattr(chat, name):
            yield unsupported(name, why)
    if chat.n not in (None, 1):
        yield unsupported("n", "one answer a request; ask again for another", value=True)
    if chat.tool_choice not in (None, "none", "auto"):
        yield unsupported("tool_choice", _REFUSED["tools"], value=True)
    if chat.response_format and chat.response_format.type != "text":
        yield unsupported("response_format.type", "answers are text; nothing holds them to a form", value=True)
    if strange := set(chat.modalities or ()) - {"text", "audio"}:
        yield unsupported("modalities", f"text and audio, not {min(strange)[:40]!r}", value=True)
    if chat.spoken and chat.audio and chat.audio.format not in CHAT_FORMATS:
        yield unsupported("audio.format", f"{', '.join(CHAT_FORMATS)}, not {chat.audio.format[:40]!r}", value=True)
    if chat.spoken and chat.stream and (chat.audio is None or chat.audio.format != "pcm16"):
        yield unsupported("audio.format", "with stream, speech is pcm16", value=True)


def _sampling(chat: ChatRequest) -> Sampling:
    longest = chat.max_completion_tokens or chat.max_tokens
    return Sampling(
        temperature=chat.temperature,
        top_p=None if chat.top_p is None else max(chat.top_p, _LEAST_TOP_P),
        max_tokens=None if longest is None else min(longest, MAX_TOKENS),
        stop=chat.stop or (),
        seed=None if chat.seed is None else chat.seed % _SEEDS,
        frequency_penalty=chat.frequency_penalty,
        presence_penalty=chat.presence_penalty,
        repetition_penalty=chat.repetition_penalty,
    )


def _voice(audio: AudioOut, info: Info | None) -> VoiceOptions:
    form = CHAT_FORMATS[audio.format]
    return VoiceOptions(voice=voice_of(audio.voice, info), format=form.written, sample_rate=form.sample_rate)
