"""Who is next: round robin between clients; of one client's, the highest priority, then the first to come."""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

_REMEMBERED = 256
_NEVER = -1


@dataclass(frozen=True, order=True)
class _Place(Generic[T]):
    """Where one waits among those of its client; what sorts first goes first."""

    rank: tuple[int, int]
    who: T = field(compare=False)
    lane: Hashable | None = field(default=None, compare=False)
    """What it must have for itself while it has its turn."""


class Queue(Generic[T]):
    """Those who wait for their turn."""

    def __init__(self) -> None:
        self._clients: dict[str, list[_Place[T]]] = {}
        """Those who wait, of each client in their order; never empty."""
        self._places: dict[T, tuple[str, _Place[T]]] = {}
        self._tickets = itertools.count()
        self._taken: dict[T, Hashable] = {}
        """Those who have their turn in a lane."""
        self._called: dict[str, int] = {}
        """When clients last had a turn, the latest last; also of those who are not waiting now."""

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, who: T) -> bool:
        return who in self._places

    def join(self, who: T, *, client: str, priority: int, lane: Hashable | None = None) -> None:
        """Puts `who` behind those of `client` with the same priority or a higher one.

        It has no turn while another has one in the same `lane`.
        """
        place = _Place((-priority, next(self._tickets)), who, lane)
        self._places[who] = client, place
        insort(self._clients.setdefault(client, []), place)

    def leave(self, who: T) -> None:
        """Takes `who` out, who does not want to wait any more, or does not wait at all."""
        if who not in self._places:
            return
        client, place = self._places.pop(who)
        places = self._clients[client]
        del places[bisect_left(places, place)]
        if not places:
            del self._clients[client]

    def call(self) -> T | None:
        """Takes out who is next: of the client whose last turn is the longest ago; None where all lanes are taken."""
        taken = set(self._taken.values())
        free = {
            client: place
            for client, places in self._clients.items()
            if (place := next((each for each in places if each.lane is None or each.lane not in taken), None))
        }
        if not free:
            return None
        client = min(free, key=self._last_turn)
        who, lane = free[client].who, free[client].lane
        self.leave(who)
        if lane is not None:
            self._taken[who] = lane
        self._called.pop(client, None)
        self._called[client] = next(self._tickets)
        if len(self._called) > _REMEMBERED:
            del self._called[next(iter(self._called))]
        return who

    def free(self, who: T) -> None:
        """Lets others have the lane of `who`."""
        self._taken.pop(who, None)

    def order(self) -> Iterator[T]:
        """All of them, as they would be called if nobody joined or left."""
        clients = sorted(self._clients, key=self._last_turn)
        for turn in itertools.zip_longest(*(self._clients[client] for client in clients)):
            yield from (place.who for place in turn if place)

    def _last_turn(self, client: str) -> int:
        return self._called.get(client, _NEVER)
