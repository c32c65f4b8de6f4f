"""What a Coqui voice speaks with, of what it has and what is wanted: language, device, speaker."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agent.contract.terms import Stage
from agent.errors import EngineError

_FEW = 10


def choose_language(wanted: str | None, languages: Sequence[str]) -> str:
    """The language to speak, of those that a voice has: the wanted one, else English, else the first."""
    for language in languages:
        if language.partition("-")[0] == (wanted or "en").partition("-")[0]:
            return wanted if wanted and wanted in languages else language
    if wanted:
        raise _refusal(f"the voice speaks {some(languages)}, not {wanted}")
    return languages[0]


def choose_device(wanted: str, gpus: int) -> str:
    """Where to compute, `cpu` or `cuda:N`, of what torch finds here."""
    if wanted == "cpu" or (wanted == "auto" and not gpus):
        return "cpu"
    number = int(wanted.partition(":")[2] or 0)
    if number >= gpus:
        raise _refusal(f"torch sees {gpus or 'no'} GPU{'s' * (gpus != 1)}, so there is no {wanted}")
    return f"cuda:{number}"


def name_speakers(first: str | None, speakers: Sequence[str]) -> dict[str, str]:
    """Coqui's speakers by the names that requests give them, `first` first."""
    named = {speaker.strip(): speaker for speaker in speakers}  # VCTK's first one ends with a line break
    if first and first not in named:
        raise _refusal(f"no speaker {first!r}; there are {some(named)}")
    return {first: named[first], **named} if first else named


def some(names: Collection[str]) -> str:
    """The first few of `names`, and how many more there are."""
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(list(names)[:_FEW]) + more


def _refusal(why: str) -> EngineError:
    return EngineError(Stage.TTS, f"coqui cannot load: {why}")
