"""The agent, put together: journal, broker, engines; opened in that order, closed in the other."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from agent import __version__
from agent.administration import Administration
from agent.announcer import Announcer, last_will
from agent.contract.presence import Info, State
from agent.contract.terms import Operation, Phase, ReplyMode, Stage
from agent.engines.engine_set import EngineSet
from agent.handler import Handler
from agent.intake import Intake
from agent.journal.journal import Journal
from agent.memory import resident_bytes
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Message, Subscription
from agent.notify import more_time, notify
from agent.operators import Operators
from agent.pipeline.admission import Admission
from agent.pipeline.stages import Stages
from agent.replies import Replies
from agent.runs import Runs
from agent.settings import Settings
from agent.watchdog import Watchdog

logger = logging.getLogger(__name__)

_SESSION_EXPIRY_S = 86_400
_FORGET_INTERVAL_S = 60.0
_LONGEST_WRITE_S = 30.0
_CLOSE_S = 20.0


async def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. ContractError where an engine or the journal cannot be opened."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Agent(settings, stop=stop).serving() as agent:
        grace_s = 0.0
        notify("STATUS=loading the engines", more_time(_longest_load_s(settings)))
        if await agent.warm_up(stop):
            grace_s = settings.graceful_shutdown_s
            notify("READY=1", "STATUS=ready")
            await stop.wait()
        logger.info("stopping")
        notify("STOPPING=1", "STATUS=finishing what runs", more_time(grace_s + _CLOSE_S))
        await agent.drain(grace_s)


class Agent:
    """One agent: what it has and what it does in its life."""

    def __init__(self, settings: Settings, *, stop: asyncio.Event) -> None:
        """`stop` is set where an operator asks for the agent's end."""
        self._settings = settings
        self._topics = topics = settings.topics
        self._phase = Phase.STARTING
        self._admission = Admission(settings.limits, max_concurrent=settings.max_concurrent)
        self._journal = Journal(settings.journal_path, synchronous=settings.journal.synchronous)
        self._engines = EngineSet(settings, on_change=self._changed)
        self._mqtt = self._broker()
        self._announcer = Announcer(topics, self._mqtt, self._info, self._state)
        stages = Stages(
            self._engines,
            max_audio_s=settings.limits.max_audio_s,
            system=settings.chat.system,
            max_tokens=settings.chat.max_tokens,
        )
        replies = Replies(topics, self._mqtt)
        self._runs = Runs(
            agent=settings.agent,
            admission=self._admission,
            journal=self._journal,
            stages=stages,
            replies=replies,
            ack=self._mqtt.ack,
            on_change=self._changed,
        )
        administration = Administration(self._engines.models, info=self._info, state=self._state, stop=stop)
        self._operators = Operators(
            topics,
            settings.operators,
            administration.actions,
            replies=replies,
            ack=self._mqtt.ack,
        )
        self._handler = Handler(
            topics,
            self._mqtt,
            intake=Intake(topics, settings.limits, settings.reply_prefixes),
            journal=self._journal,
            admission=self._admission,
            runs=self._runs,
            replies=replies,
            operators=self._operators,
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Agent]:
        """Opens journal and broker; closes everything at the end."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._journal)
            await stack.enter_async_context(self._engines)
            await stack.enter_async_context(self._mqtt)
            stack.push_async_callback(self._operators.close)
            self._runs.resume()  # before a message can arrive: nothing was awaited since
            forgetting = asyncio.create_task(self._forget_old(), name="forget")
            stack.push_async_callback(_end, forgetting)
            watched = asyncio.create_task(self._watchdog().run(), name="watchdog")
            stack.push_async_callback(_end, watched)
            yield self

    async def warm_up(self, stop: asyncio.Event) -> bool:
        """Loads the engines, then is online; False where it is told to stop before."""
        loading = asyncio.create_task(self._engines.load(), name="load engines")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await _end(stopping)
        if not loading.done():
            await _end(loading)
            return False
        loading.result()
        self._phase = Phase.READY
        self._admission.open()
        self._announcer.online()
        logger.info("online as %s", self._topics.agent)
        return True

    async def drain(self, grace_s: float) -> None:
        """Takes nothing more on, gives what runs `grace_s` to finish, says goodbye."""
        self._phase = Phase.DRAINING
        self._handler.stop_accepting()
        self._announcer.changed()
        await self._runs.finish(grace_s)
        if self._mqtt.connected:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._announcer.offline(), 2.0)

    def _broker(self) -> MqttClient:
        return MqttClient(
            self._settings.mqtt,
            client_id=f"edgevoice-agent-{self._settings.agent}",
            on_message=self._heard,
            on_ready=self._connected,
            subscriptions=(Subscription(self._topics.all_requests), Subscription(self._topics.all_admin)),
            will=last_will(self._topics),
            session_expiry_s=_SESSION_EXPIRY_S,
        )

    def _heard(self, message: Message) -> None:
        self._handler.handle(message)

    def _connected(self) -> None:
        self._announcer.repeat()

    def _changed(self) -> None:
        if self._mqtt.connected:
            self._announcer.changed()

    async def _forget_old(self) -> None:
        while True:
            self._journal.forget(self._settings.journal.dedup_window_s)
            await asyncio.sleep(_FORGET_INTERVAL_S)

    def _watchdog(self) -> Watchdog:
        """Fed while what nobody sees from outside gets on; engines are minded by their hosts."""
        checks = {
            "the journal": lambda: self._journal.waited_s < _LONGEST_WRITE_S,
            "the connection to the broker": lambda: self._mqtt.alive,
        }
        return Watchdog(checks, status=self._status)

    def _status(self) -> str:
        """One line for who asks the service manager."""
        state = self._state()
        broker = "" if self._mqtt.connected else ", no broker"
        return f"{state.phase.value}: {state.running} running, {state.queued} queued{broker}"

    def _info(self) -> Info:
        return Info(
            agent=self._topics.agent,
            version=__version__,
            operations=[operation.value for operation in Operation],
            reply_modes=[mode.value for mode in ReplyMode],
            audio_formats=["wav"],
            limits=self._settings.limits,
            engines=self._engines.info,
            models=self._engines.models.names,
        )

    def _state(self) -> State:
        engines = self._engines.state
        phase = self._phase
        if phase is Phase.READY and not all(stage in engines and engines[stage].ready for stage in Stage):
            phase = Phase.DEGRADED
        return State(
            phase=phase,
            accepting=self._handler.accepting and not self._admission.full,
            queued=self._admission.queued,
            running=self._admission.running,
            max_queued=self._settings.limits.max_queued,
            memory_bytes=resident_bytes(),
            engines=engines,
        )


def _longest_load_s(settings: Settings) -> float:
    """Engines load side by side; each may take its time to load, and again to answer for the first time."""
    at_start = (model for model in settings.models.values() if model.load == "start")
    return 2 * max(engine.load_timeout_s for engine in (settings.stt, settings.llm, settings.tts, *at_start))


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
