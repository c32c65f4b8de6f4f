"""A signal ends the work in order."""

import asyncio
import os
import signal

import pytest

from agent.signals import INTERRUPTED, until_signalled


@pytest.mark.anyio
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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


@pytest.mark.anyio
async def test_what_nohup_started_outlives_its_terminal():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def work() -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        return 0

    try:
        assert await until_signalled(work()) == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
