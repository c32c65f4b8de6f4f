"""Keeps a program of ours running: one that ends by itself is started again, until it does so too often."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable

from agent.stack.child import ChildError

MAX_DEATHS = 5
_WITHIN_S = 60.0


async def keep(
    wait: Callable[[], Awaitable[None]], restart: Callable[[], Awaitable[None]], tell: Callable[[str], None]
) -> None:
    """Returns only by ChildError, that of the last of MAX_DEATHS within a minute; `tell` hears of those before.

    `wait` returns only by ChildError, too, once the program has ended.
    """
    deaths: deque[float] = deque(maxlen=MAX_DEATHS)
    do = wait
    while True:
        try:
            await do()
            do = wait
        except ChildError as exc:
            deaths.append(time.monotonic())
            if len(deaths) == MAX_DEATHS and deaths[-1] - deaths[0] < _WITHIN_S:
                raise ChildError(f"{exc.what}, {MAX_DEATHS} times within a minute", exc.last_words) from exc
            tell(f"{exc.what}; it is started again")
            do = restart
