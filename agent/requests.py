"""All that callers and operators may ask of an agent, put together: what takes it on, and what answers it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agent.admin.administration import Administration
from agent.admin.operators import Operators
from agent.contract.errors import ErrorCode
from agent.contract.reply import Reply
from agent.engines.engine_set import EngineSet
from agent.handler import Handler
from agent.intake import Intake
from agent.journal.entries import Admitted
from agent.journal.journal import Journal
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Message
from agent.pipeline.admission import Admission
from agent.pipeline.guards import GuardSettings
from agent.pipeline.manner import Manners
from agent.pipeline.phrases import Phrases
from agent.pipeline.stages import Stages
from agent.presence.report import Report
from agent.replies.replies import Replies
from agent.runs.reception import Reception
from agent.runs.runs import Runs
from agent.sessions.calls import SessionCalls
from agent.sessions.conversations import Conversations
from agent.settings import Settings
from agent.templates.calls import TemplateCalls
from agent.templates.catalogue import Catalogue
from agent.uploads.uploads import Uploads


class Requests:
    """Takes messages on, from the first word to the outcome."""

    def __init__(
        self,
        settings: Settings,
        mqtt: MqttClient,
        *,
        admission: Admission,
        engines: EngineSet,
        journal: Journal,
        catalogue: Catalogue,
        report: Report,
        stop: asyncio.Event,
        on_change: Callable[[], None],
        on_end: Callable[[Admitted, Reply], None],
        on_refusal: Callable[[ErrorCode], None],
    ) -> None:
        """`stop` is set where an operator asks for the agent's end.

        `on_change` is called when a run begins or ends, `on_end` with its outcome, `on_refusal` where there is none.
        """
        topics, ack = settings.topics, mqtt.ack
        stages = _stages(settings, engines, catalogue)
        replies = Replies(topics, mqtt, on_refusal=on_refusal)
        conversations = Conversations(
            journal.sessions,
            unnamed_idle_s=settings.sessions.unnamed_idle_s,
            stands_for_many=settings.stands_for_many,
        )
        self._runs = Runs(
            agent=settings.agent,
            admission=admission,
            journal=journal,
            stages=stages,
            conversations=conversations,
            replies=replies,
            ack=ack,
            on_change=on_change,
            on_end=on_end,
        )
        administration = Administration(engines.models, info=report.info, state=report.state, stop=stop)
        actions = {**administration.actions, **TemplateCalls(catalogue).actions}
        self._operators = Operators(topics, settings.operators, actions, replies=replies, ack=ack)
        intake = Intake(topics, settings.limits, settings.reply_prefixes)
        reception = Reception(journal=journal, admission=admission, runs=self._runs, replies=replies, ack=ack)
        self._uploads = Uploads(
            settings.limits,
            trusted=settings.trusted_clients,
            intake=intake,
            reception=reception,
            replies=replies,
            listen=stages.listen,
            ack=ack,
        )
        self._session_calls = SessionCalls(
            conversations, journal.sessions, admission, intake=intake, replies=replies, ack=ack
        )
        self._handler = Handler(
            topics,
            mqtt,
            intake=intake,
            journal=journal,
            admission=admission,
            reception=reception,
            uploads=self._uploads,
            sessions=self._session_calls,
            replies=replies,
            operators=self._operators,
        )

    def handle(self, message: Message) -> None:
        """One message: taken on, answered, or refused. Nothing here waits."""
        self._handler.handle(message)

    def resume(self) -> None:
        """Takes up what an earlier process left, or a journal that could not be read."""
        self._runs.resume()

    def stop_accepting(self) -> None:
        """From now on, requests stay with the broker."""
        self._handler.stop_accepting()

    async def finish(self, grace_s: float) -> None:
        """Waits up to `grace_s` for what runs, then leaves the rest to the journal."""
        await self._runs.finish(grace_s)

    async def close(self) -> None:
        """Leaves what is going on beside the runs."""
        await self._session_calls.close()
        await self._uploads.close()
        await self._operators.close()


def _stages(settings: Settings, engines: EngineSet, catalogue: Catalogue) -> Stages:
    return Stages(
        engines,
        max_audio_s=max(settings.limits.max_audio_s, settings.limits.max_upload_s),
        system=settings.chat.system,
        sampling=settings.chat.sampling,
        manners=Manners(settings.personas, catalogue.find),
        overflow=settings.chat.on_overflow,
        guards=GuardSettings(**settings.chat.guards.model_dump()),
        phrases=Phrases(settings.phrase_cache_bytes),
    )
