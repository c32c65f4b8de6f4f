"""Who is next: round robin between clients; of one client's, the highest priority, then the first to come."""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from collections.abc import Iterator
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


class Queue(Generic[T]):
    """Those who wait for their turn."""

    def __init__(self) -> None:
        self._clients: dict[str, list[_Place[T]]] = {}
        """Those who wait, of each client in their order; never empty."""
        self._places: dict[T, tuple[str, _Place[T]]] = {}
        self._tickets = itertools.count()
        self._called: dict[str, int] = {}
        """When clients last had a turn, the latest last; also of those who are not waiting now."""

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, who: T) -> bool:
        return who in self._places

    def join(self, who: T, *, client: str, priority: int) -> None:
        """Puts `who` behind those of `client` with the same priority or a higher one."""
        place = _Place((-priority, next(self._tickets)), who)
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

    def call(self) -> T:
        """Takes out who is next: of the client whose last turn is the longest ago."""
        client = min(self._clients, key=self._last_turn)
        who = self._clients[client][0].who
        self.leave(who)
        self._called.pop(client, None)
        self._called[client] = next(self._tickets)
        if len(self._called) > _REMEMBERED:
            del self._called[next(iter(self._called))]
        return who

    def order(self) -> Iterator[T]:
        """All of them, as they would be called if nobody joined or left."""
        clients = sorted(self._clients, key=self._last_turn)
        for turn in itertools.zip_longest(*(self._clients[client] for client in clients)):
            yield from (place.who for place in turn if place)

    def _last_turn(self, client: str) -> int:
        return self._called.get(client, _NEVER)
