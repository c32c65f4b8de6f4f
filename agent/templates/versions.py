"""What became of each template, version by version, and how much of that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import MAX_TEMPLATES
from agent.contract.templates import Template

SHIPPED = 0
"""The number of the version that comes with EdgeVoice."""
MAX_VERSIONS = 20
"""Of one template."""
MAX_BYTES = 8_000_000
"""Of all that was saved, all versions together."""


@dataclass(frozen=True)
class Version:
    """A template as it once was."""

    number: int
    """Counted from 1; SHIPPED where nobody saved it."""
    template: Template | None
    """None where it was taken away."""
    saved_at: float | None = None
    """Wall clock [s since 1970]; None of what is shipped."""
    size_bytes: int = 0
    """In the journal."""

    @property
    def body(self) -> bytes | None:
        """The template as it is sent and saved; None where it was taken away."""
        return self.template.encode() if self.template else None


History = tuple[Version, ...]
"""The versions of one template, the latest last; a shipped one is the first."""


def before_latest(history: History) -> History:
    """`history` without its latest version. ContractError(not_found) where that cannot be undone."""
    latest = history[-1]
    before = history[-2].number if len(history) > 1 else SHIPPED
    if latest.number == SHIPPED:
        raise ContractError(ErrorCode.NOT_FOUND, "it is as it was shipped; nothing is to be undone", field="name")
    if before != latest.number - 1:
        message = f"what was before version {latest.number} is forgotten; only {MAX_VERSIONS} are kept"
        raise ContractError(ErrorCode.NOT_FOUND, message, field="name")
    return history[:-1]


def bounded(histories: Mapping[str, History]) -> dict[str, History]:
    """`histories` without the oldest of what is too much. ContractError(payload_too_large) where no less will do."""
    kept = {name: _without_oldest(history, keep=MAX_VERSIONS) for name, history in histories.items()}
    if (saved := sum(1 for history in kept.values() if _saved(history))) > MAX_TEMPLATES:
        del kept[_longest_gone(kept, saved)]
    while (size := sum(version.size_bytes for history in kept.values() for version in history)) > MAX_BYTES:
        name = _oldest(kept, size)
        kept[name] = _without_oldest(kept[name], keep=len(_saved(kept[name])) - 1)
    return kept


def _saved(history: History) -> History:
    return tuple(version for version in history if version.number != SHIPPED)


def _without_oldest(history: History, *, keep: int) -> History:
    saved = _saved(history)
    return (*history[: len(history) - len(saved)], *saved[-keep:]) if saved else history


def _longest_gone(histories: Mapping[str, History], saved: int) -> str:
    """Of those that were taken away, and are not shipped, the one that was so first."""
    gone = {
        name: history[-1].saved_at or 0.0
        for name, history in histories.items()
        if history[-1].template is None and history[0].number != SHIPPED
    }
    if not gone:
        message = f"{MAX_TEMPLATES} templates are the most; delete one first"
        raise ContractError(ErrorCode.PAYLOAD_TOO_LARGE, message, field="template", limit=MAX_TEMPLATES, actual=saved)
    return min(gone, key=gone.__getitem__)


def _oldest(histories: Mapping[str, History], size: int) -> str:
    """Whose earliest version was saved before all others, and is not its only one."""
    earliest = {
        name: saved[0].saved_at or 0.0 for name, history in histories.items() if len(saved := _saved(history)) > 1
    }
    if not earliest:
        message = f"all templates together have {size} bytes; {MAX_BYTES} are the most; delete one first"
        raise ContractError(ErrorCode.PAYLOAD_TOO_LARGE, message, field="template", limit=MAX_BYTES, actual=size)
    return min(earliest, key=earliest.__getitem__)
