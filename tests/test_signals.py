"""A signal ends the work in order."""

import asyncio
import os
import signal

import pytest

from agent.signals import INTERRUPTED, until_signalled


@pytest.mark.anyio
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_lets_the_work_clean_up(number):
    cleaned = []

    async def work() -> int:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
            return 0
        finally:
            cleaned.append(True)

    assert await until_signalled(work()) == INTERRUPTED
    assert cleaned
