"""The agent, put together: journal, broker, engines; opened in that order, closed in the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from agent.audio.endpointer import Endpointer
from agent.background import Background, first
from agent.contract.reply import Reply
from agent.contract.terms import Phase
from agent.engines.engine_set import EngineSet
from agent.interactions.log import InteractionLog
from agent.journal.entries import Admitted, Bounds, Kept
from agent.journal.journal import Journal
from agent.metrics.gauges import Vitals
from agent.metrics.metrics import Metrics
from agent.mqtt.client import MqttClient
from agent.mqtt.message import BrokerUnavailable, Message, Subscription
from agent.notify import more_time, notify
from agent.pipeline.admission import Admission
from agent.presence.announcer import Announcer, last_will
from agent.presence.namesake import refuse_second
from agent.presence.probe import Probe
from agent.presence.report import Report
from agent.requests import Requests
from agent.settings import Settings
from agent.speech_text import speech_text
from agent.templates.catalogue import Catalogue
from agent.templates.retained import RetainedTemplates
from agent.templates.shipped import shipped
from agent.watchdog import Watchdog

logger = logging.getLogger(__name__)

_SESSION_EXPIRY_S = 86_400
_LONGEST_WRITE_S = 30.0
_LONGEST_OVERDUE_S = 30.0
_HEAD_START_S = 1.0
_BROKER_PATIENCE_S = 10.0


class Agent:
    """One agent: what it has and what it does in its life."""

    def __init__(self, settings: Settings, *, stop: asyncio.Event, journal: Journal | None = None) -> None:
        """`stop` is set where an operator asks for the agent's end; `journal` None is the one of the settings."""
        self._settings = settings
        self._topics = topics = settings.topics
        self._admission = Admission(
            settings.limits, max_concurrent=settings.max_concurrent, trusted=settings.trusted_clients
        )
        self._journal = journal or _journal(settings)
        self._engines = EngineSet(settings, on_change=self._changed)
        self._mqtt = self._broker()
        self._probe = Probe(topics, self._mqtt, interval_s=settings.probe_interval_s, on_change=self._changed)
        self._report = report = Report(
            settings,
            engines=self._engines,
            admission=self._admission,
            journal=self._journal,
            mqtt=self._mqtt,
            probe=self._probe,
        )
        self._announcer = Announcer(topics, self._mqtt, report.info, report.state)
        self._catalogue = Catalogue(self._journal.templates, shipped())
        self._templates = RetainedTemplates(topics, self._mqtt, self._catalogue)
        self._catalogue.on_change = self._templates.changed
        self._background = Background()
        self._metrics = Metrics(settings.metrics, self._vitals)
        self._interactions = InteractionLog(settings.interactions)
        self._requests = Requests(
            settings,
            self._mqtt,
            admission=self._admission,
            engines=self._engines,
            journal=self._journal,
            catalogue=self._catalogue,
            report=report,
            stop=stop,
            on_change=self._changed,
            on_end=self._ended,
            on_refusal=self._metrics.refused,
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Agent]:
        """Opens journal and broker; closes everything at the end."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._metrics)
            await stack.enter_async_context(self._interactions)
            await stack.enter_async_context(self._journal)
            await stack.enter_async_context(self._engines)
            await stack.enter_async_context(self._mqtt)
            stack.push_async_callback(self._requests.close)
            self._journal.on_change = self._journal_changed
            self._requests.resume()  # before a message can arrive: nothing was awaited since
            background = await stack.enter_async_context(self._background)
            background.start(self._watchdog().run(), name="watchdog")
            background.start(self._probe.run(), name="probe")
            yield self

    async def warm_up(self, stop: asyncio.Event) -> bool:
        """Loads the engines, then is online; False where it is told to stop before."""
        await first(stop.wait(), self._prepare(), self._background.failed())
        return self._report.phase is Phase.READY

    async def until(self, stop: asyncio.Event) -> None:
        """Returns once `stop` is set; raises what ended anything that the agent cannot do without."""
        await first(stop.wait(), self._background.failed())

    async def drain(self, grace_s: float, hurry: asyncio.Event) -> None:
        """Takes nothing more on, gives what runs `grace_s` to finish, or until `hurry`; says goodbye."""
        self._report.phase = Phase.DRAINING
        self._requests.stop_accepting()
        self._probe.rest()
        self._announcer.changed()
        await first(self._requests.finish(grace_s), hurry.wait())
        if hurry.is_set():
            await self._requests.finish(0)
        if self._mqtt.connected:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._announcer.offline(), 2.0)

    async def _prepare(self) -> None:
        connecting = self._background.start(self._connect(), name="connect")
        await asyncio.wait({connecting}, timeout=_HEAD_START_S)  # a second agent is to load no engines
        if connecting.done():
            connecting.result()
        await asyncio.gather(self._engines.load(), asyncio.to_thread(_import_late))
        self._admission.open()
        while not self._mqtt.connected:
            notify("STATUS=waiting for the broker", more_time(3 * _BROKER_PATIENCE_S))
            with suppress(BrokerUnavailable):
                await self._mqtt.wait_connected(_BROKER_PATIENCE_S)
        self._report.phase = Phase.READY
        self._announcer.online()
        logger.info("online as %s", self._topics.agent)

    async def _connect(self) -> None:
        await refuse_second(self._topics, self._settings.mqtt)
        self._mqtt.connect()

    def _broker(self) -> MqttClient:
        return MqttClient(
            self._settings.mqtt,
            client_id=f"edgevoice-agent-{self._settings.agent}",
            on_message=self._heard,
            on_ready=self._connected,
            subscriptions=(
                Subscription(self._topics.all_requests),
                Subscription(self._topics.all_admin),
                Subscription(self._topics.probe),
                Subscription(self._topics.all_client_status, retain_as_published=False),
                Subscription(self._topics.all_templates, retained=True, retain_as_published=False),
            ),
            will=last_will(self._topics),
            session_expiry_s=_SESSION_EXPIRY_S,
            connect=False,
        )

    def _heard(self, message: Message) -> None:
        if message.topic == self._topics.probe:
            self._probe.heard(message)
        elif self._topics.parse_template(message.topic):
            self._templates.hear(message)
        else:
            self._requests.handle(message)

    def _connected(self) -> None:
        self._probe.connected()
        self._templates.repeat()  # before anybody reads that it is online
        self._announcer.repeat()

    def _changed(self) -> None:
        if self._mqtt.connected:
            self._announcer.changed()

    def _journal_changed(self) -> None:
        if not self._journal.broken:
            self._mended()
        self._changed()

    def _ended(self, admitted: Admitted, reply: Reply) -> None:
        self._metrics.ended(admitted, reply)
        self._interactions.ended(admitted, reply)

    def _vitals(self) -> Vitals:
        return Vitals(self._report.state(), self._mqtt.connected, self._journal.waited_s)

    def _mended(self) -> None:
        """The journal can be read and written: what could not be at the start, and what a new one lacks."""
        self._catalogue.mend()
        if self._mqtt.connected:
            self._templates.repeat()
        if self._report.phase is not Phase.DRAINING:
            self._requests.resume()

    def _watchdog(self) -> Watchdog:
        """Fed while what nobody sees from outside gets on; engines are minded by their hosts."""
        checks = {
            "the journal": lambda: self._journal.waited_s < _LONGEST_WRITE_S,
            "the connection to the broker": lambda: self._mqtt.alive,
            "the probe": lambda: self._probe.gets_on,
            "a run": lambda: self._admission.overdue_s < _LONGEST_OVERDUE_S,
        }
        return Watchdog(checks, status=self._report.status)


def _import_late() -> None:
    """Has what is imported at its first use imported now, before somebody waits for it."""
    speech_text("1")
    Endpointer(16_000, end_silence_ms=1)


def _journal(settings: Settings) -> Journal:
    kept = settings.journal
    bounds = Bounds(kept.dedup_window_s, max_replies=kept.max_replies, max_bytes=kept.max_bytes)
    sessions = Kept(settings.sessions.idle_s, settings.sessions.max_turns, settings.sessions.max_per_client)
    return Journal(settings.journal_path, synchronous=kept.synchronous, bounds=bounds, kept=sessions)
