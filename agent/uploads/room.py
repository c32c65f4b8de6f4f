"""How many clips may arrive at once, and how large they may be: of all callers together, and of each."""

from __future__ import annotations

from collections.abc import Collection

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import Limits
from agent.errors import Busy
from agent.journal.entries import RunKey
from agent.pipeline.load import Excess, Holdings, Load

_RETRY_MS = 1_000
_WHAT = {"requests": "clips", "size_bytes": "bytes of clips"}


class Room:
    """What arriving clips take up."""

    def __init__(self, limits: Limits, trusted: Collection[str]) -> None:
        """`trusted` clients stand for many callers: the bounds of a single one do not hold for them."""
        self._max_bytes = limits.max_queued_bytes
        clips = {"max_queued": limits.max_uploads, "max_queued_per_client": limits.max_uploads_per_client}
        self._holdings = Holdings(limits.model_copy(update=clips), trusted)

    def enter(self, key: RunKey) -> None:
        """One more clip. Busy where there are enough."""
        self._check(key, Load(requests=1))
        self._holdings.add(key, Load(requests=1))

    def grow(self, key: RunKey, size_bytes: int) -> None:
        """So much more of that clip. Busy where there is enough of all, payload_too_large where of this one."""
        more = Load(size_bytes=size_bytes)
        grown = self._holdings.load(key).plus(more)
        if grown.size_bytes > self._max_bytes:
            message = f"the clip has more than {self._max_bytes} bytes"
            raise ContractError(ErrorCode.PAYLOAD_TOO_LARGE, message, limit=self._max_bytes, actual=grown.size_bytes)
        self._check(key, more)
        self._holdings.remove(key)
        self._holdings.add(key, grown)

    def leave(self, key: RunKey) -> None:
        """That clip arrives no more."""
        self._holdings.remove(key)

    def _check(self, key: RunKey, more: Load) -> None:
        if excess := self._holdings.excess(key.client, more):
            limit, depth = excess.limit, self._holdings.total.requests
            raise Busy(_words(excess), retry_after_ms=_RETRY_MS, limit=limit, queue_depth=depth)


def _words(excess: Excess) -> str:
    whose = f" of {excess.client}" if excess.client else ""
    return f"{round(getattr(excess.held, excess.unit))} {_WHAT[excess.unit]}{whose} arrive already"
