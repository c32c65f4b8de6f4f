"""Ctrl-C, SIGTERM and a terminal that is closed, for programs that must clean up first."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

INTERRUPTED = 130
"""The exit status of a program that a signal ended, as shells have it for Ctrl-C."""


async def until_signalled(work: Coroutine[Any, Any, int]) -> int:
    """The exit status of `work`; SIGINT, SIGTERM or SIGHUP cancel it, so that it cleans up, and give INTERRUPTED."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` means it to live on
        signals.append(signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return INTERRUPTED
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
