"""The agent as a service: from start to stop, with a word to the service manager at each turn."""

from __future__ import annotations

import asyncio
import logging
import signal

from agent.app import Agent
from agent.journal.journal import Journal
from agent.notify import more_time, notify
from agent.settings import Settings

logger = logging.getLogger(__name__)

_CLOSE_S = 20.0


async def run(settings: Settings, *, journal: Journal | None = None) -> None:
    """Serves until SIGTERM or SIGINT; a second one ends it without waiting for what runs.

    ContractError where an engine or the journal cannot be opened; UserError where another agent of the name lives, or
    the broker is there and does not deliver.
    """
    stop, hurry = asyncio.Event(), asyncio.Event()

    def stop_or_hurry() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_or_hurry)
    async with Agent(settings, stop=stop, journal=journal).serving() as agent:
        grace_s = 0.0
        notify("STATUS=loading the engines", more_time(_longest_load_s(settings)))
        if await agent.warm_up(stop):
            grace_s = settings.graceful_shutdown_s
            notify("READY=1", "STATUS=ready")
            await agent.until(stop)
        logger.info("stopping")
        notify("STOPPING=1", "STATUS=finishing what runs", more_time(grace_s + _CLOSE_S))
        await agent.drain(grace_s, hurry)


def _longest_load_s(settings: Settings) -> float:
    """Engines load side by side; each may take its time to load, and again to answer for the first time."""
    at_start = (model for model in settings.models.values() if model.load == "start")
    return 2 * max(engine.load_timeout_s for engine in (settings.stt, settings.llm, settings.tts, *at_start))
