"""The demo's questions, and how a real answer is told from a broken one."""

from __future__ import annotations

from dataclasses import dataclass

from agent.audio import decode_wav
from agent.contract.reply import Timings
from agent.contract.terms import ReplyMode
from agent.errors import AudioError, UserError

_MAX_SPEECH_S = 600.0
_SECONDS_A_WORD = (0.1, 1.2)


class BrokenAnswer(UserError):
    """The agent did not answer, or not as a working one does."""


@dataclass(frozen=True)
class Case:
    """One way to ask and to be answered."""

    name: str
    question: str
    spoken: bool
    """Whether the question is a clip."""
    mode: ReplyMode


@dataclass(frozen=True)
class Answer:
    """What came back, whichever way."""

    text: str
    timings: Timings
    transcript: str | None = None
    speech: bytes | None = None
    """A WAV file."""


CASES = (
    Case("text → text", "What is the capital of France?", spoken=False, mode=ReplyMode.TEXT),
    Case("voice → text", "What is the capital of Japan?", spoken=True, mode=ReplyMode.TEXT),
    Case("text → voice", "What is the capital of Germany?", spoken=False, mode=ReplyMode.AUDIO),
    Case("voice → voice", "What is the largest ocean?", spoken=True, mode=ReplyMode.AUDIO),
)


def check(case: Case, answer: Answer) -> None:
    """BrokenAnswer where the answer is not what a working agent gives."""
    if not answer.text.strip():
        raise BrokenAnswer(f"{case.name}: {case.question!r} got an empty answer")
    if case.spoken and not answer.transcript:
        raise BrokenAnswer(f"{case.name}: {case.question!r} was not heard")
    if case.mode.heard:
        if not answer.speech:
            raise BrokenAnswer(f"{case.name}: the answer has no speech")
        _check_speech(case, answer.speech, words=len(answer.text.split()))


def _check_speech(case: Case, wav: bytes, *, words: int) -> None:
    try:
        speech = decode_wav(wav, max_s=_MAX_SPEECH_S)
    except AudioError as exc:
        raise BrokenAnswer(f"{case.name}: the speech cannot be heard: {exc.message}") from exc
    shortest, longest = _SECONDS_A_WORD
    if speech.is_silent:
        raise BrokenAnswer(f"{case.name}: the speech is silent")
    if not shortest * words < speech.duration_s < longest * words + 1:
        raise BrokenAnswer(f"{case.name}: {speech.duration_s:.1f} s of speech cannot be {words} words")
