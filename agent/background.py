"""Work that goes on beside the rest, and does not fail unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from typing_extensions import Self


class Background:
    """Tasks that live as long as the context; `failed` tells of the first that fails."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: asyncio.Future[None]

    async def __aenter__(self) -> Self:
        self._failure = asyncio.get_running_loop().create_future()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await _end(*self._tasks)
        if not self._failure.cancel():
            self._failure.exception()  # it was seen, or something worse was

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Begins `work`."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)
        return task

    async def failed(self) -> None:
        """Returns never; raises what the first of the tasks that failed did."""
        await asyncio.shield(self._failure)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._failure.done():
            return
        if failure := task.exception():
            self._failure.set_exception(failure)


async def first(*works: Coroutine[Any, Any, object]) -> None:
    """Returns once one of `works` has, and ends the others. Raises what it failed with."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await _end(*tasks)


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
