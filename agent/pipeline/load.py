"""What requests weigh while they are held, together and a client: their number, their bytes, their seconds of audio."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from agent.audio.riff import check_wav
from agent.contract.limits import Limits
from agent.errors import AudioError
from agent.journal.entries import Admitted, RunKey

_UNITS = {"requests": "requests", "size_bytes": "bytes", "audio_s": "seconds of audio"}


class Load(NamedTuple):
    """What one request weighs, or several; or how much there may be of each."""

    requests: int = 0
    size_bytes: int = 0
    audio_s: float = 0.0

    @classmethod
    def of(cls, admitted: Admitted) -> Load:
        """What `admitted` weighs; a clip that cannot be read has no length."""
        clip = admitted.clip or b""
        try:
            audio_s = check_wav(clip).duration_s if clip else 0.0
        except AudioError:
            audio_s = 0.0
        return cls(1, len(clip) + len(admitted.request.encode()), audio_s)

    def plus(self, other: Load) -> Load:
        """Both together."""
        return Load(self.requests + other.requests, self.size_bytes + other.size_bytes, self.audio_s + other.audio_s)

    def minus(self, other: Load) -> Load:
        """What is left without `other`; of no requests, exactly nothing."""
        if self.requests == other.requests:
            return Load()  # seconds would leave a rest of rounding
        return Load(self.requests - other.requests, self.size_bytes - other.size_bytes, self.audio_s - other.audio_s)

    def reaches(self, bound: Load) -> bool:
        """Whether `bound` leaves no room for another one, however small."""
        return any(mine >= most for mine, most in zip(self, bound, strict=True))

    def passes(self, bound: Load) -> str | None:
        """In what this is more than `bound`. A request alone never is: it would be refused for ever."""
        if self.requests <= 1:
            return None
        return next((unit for unit, mine, most in zip(_UNITS, self, bound, strict=True) if mine > most), None)


@dataclass(frozen=True)
class Excess:
    """A bound that one more request would pass."""

    unit: str
    """In what: a field of Load."""
    held: Load
    """What there is already."""
    bound: Load
    client: str | None
    """Whose bound it is; None where it is that of all together."""

    @property
    def limit(self) -> float:
        """How much there may be."""
        return float(getattr(self.bound, self.unit))

    def __str__(self) -> str:
        whose = f" of {self.client}" if self.client else ""
        return f"{round(getattr(self.held, self.unit))} {_UNITS[self.unit]}{whose} wait or run already"


class Holdings:
    """The load of what is held, within an agent's limits."""

    def __init__(self, limits: Limits, trusted: Collection[str]) -> None:
        """`trusted` clients stand for many callers: the bounds of a single one do not hold for them."""
        self._bound = Load(limits.max_queued, limits.max_queued_bytes, limits.max_queued_audio_s)
        self._bound_per_client = Load(
            limits.max_queued_per_client, limits.max_queued_bytes_per_client, limits.max_queued_audio_s_per_client
        )
        self._trusted = frozenset(trusted)
        self._loads: dict[RunKey, Load] = {}
        self._of_client: defaultdict[str, Load] = defaultdict(Load)
        self.total = Load()

    @property
    def full(self) -> bool:
        """Whether there is no room for another request, whoever asks."""
        return self.total.reaches(self._bound)

    def load(self, key: RunKey) -> Load:
        """What the request weighs, which is held."""
        return self._loads[key]

    def excess(self, client: str, load: Load, *, without: Iterable[RunKey] = ()) -> Excess | None:
        """The bound that `load` of `client` would pass, if any; `without` those of its own that are about to leave."""
        leaving = Load()
        for key in without:
            leaving = leaving.plus(self._loads[key])
        holders: list[tuple[Load, Load, str | None]] = [(self.total, self._bound, None)]
        if client not in self._trusted:
            holders.append((self._of_client.get(client, Load()), self._bound_per_client, client))
        for holding, bound, whose in holders:
            held = holding.minus(leaving) if leaving.requests else holding
            if unit := held.plus(load).passes(bound):
                return Excess(unit, held, bound, whose)
        return None

    def add(self, key: RunKey, load: Load) -> None:
        """The request is held from now on."""
        self._loads[key] = load
        self.total = self.total.plus(load)
        self._of_client[key.client] = self._of_client[key.client].plus(load)

    def remove(self, key: RunKey) -> None:
        """The request, which was held, is not any more."""
        load = self._loads.pop(key)
        self.total = self.total.minus(load)
        left = self._of_client.pop(key.client).minus(load)
        if left.requests:
            self._of_client[key.client] = left
