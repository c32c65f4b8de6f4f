"""One MQTT message in, one run out; whatever goes wrong in between becomes a typed reply here and nowhere else."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.events import Event, EventType
from agent.contract.messages import ErrorBody, Reply
from agent.contract.terms import Operation, Status
from agent.contract.topics import Topics
from agent.errors import AgentError, StorageError
from agent.intake import Asked, Intake, ReturnAddress
from agent.journal.requests import Admitted, Requests
from agent.logs import running
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Message, PacketTooLarge, Publication
from agent.operations import PLANS
from agent.operations.cancel import cancel, target
from agent.pipeline.admission import Admission
from agent.pipeline.run import Run
from agent.pipeline.stages import Stages
from agent.settings import Settings

logger = logging.getLogger(__name__)


class Handler:
    """Takes requests on, sees them through, answers each exactly once."""

    def __init__(
        self,
        settings: Settings,
        *,
        topics: Topics,
        stages: Stages,
        journal: Requests,
        admission: Admission,
        mqtt: MqttClient,
        on_change: Callable[[], None],
    ) -> None:
        """`on_change` is called whenever a run begins or ends."""
        self._settings = settings
        self._topics = topics
        self._stages = stages
        self._journal = journal
        self._admission = admission
        self._mqtt = mqtt
        self._on_change = on_change
        self._intake = Intake(topics, settings.limits, settings.reply_prefixes)
        self._unacknowledged: dict[tuple[str, str], list[Message]] = {}
        """Messages whose run is not in the journal yet."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepting = True
        """False while draining: what arrives stays with the broker, unacknowledged."""

    def handle(self, message: Message) -> None:
        """Takes on, answers or ignores `message`, at once."""
        if not self.accepting:
            return
        client = self._topics.caller(message.topic)
        if message.retain or client is None:
            logger.warning("ignored a %s message on %r", "retained" if message.retain else "nameless", message.topic)
            self._mqtt.ack(message)
            return
        asked: Asked | None = None
        try:
            address = self._topics.parse_request(message.topic)
            if address.operation is Operation.CANCEL:
                self._cancel(message, client)
                return
            asked = self._intake.read(message, address)
            self._take_on(message, client, asked)
        except ContractError as exc:
            self._refuse(self._intake.return_address(message, client, asked), client, exc)
            self._mqtt.ack(message)
        except Exception:
            logger.exception("a message on %r was not taken on", message.topic)
            self._refuse(self._intake.return_address(message, client, asked), client, _internal())
            self._mqtt.ack(message)

    def resume(self) -> None:
        """Takes up again what the journal holds without a reply."""
        for admitted in self._journal.unanswered():
            age_s = max(0.0, time.time() - admitted.arrived_at)
            try:
                plan = PLANS[admitted.operation](admitted.request, admitted.clip is not None)
            except ContractError:
                logger.exception("%s/%s cannot be resumed", admitted.client, admitted.id)
                continue
            run = Run(admitted, plan, self._deadline_ms(admitted.request.deadline_ms), self._emit_for(admitted))
            run.arrived -= age_s
            self._admission.admit(run, exempt=True)
            logger.info("resuming %s/%s", admitted.client, admitted.id)
            self._start(run, journalled=True)

    async def finish(self, grace_s: float) -> None:
        """Waits up to `grace_s` for the runs at hand, then leaves the rest to the journal."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take_on(self, message: Message, client: str, asked: Asked) -> None:
        back = self._intake.return_address(message, client, asked)
        admitted = Admitted(
            client,
            back.id,
            asked.operation,
            asked.request,
            asked.clip,
            back.topic,
            back.correlation_data,
            arrived_at=time.time(),
        )
        if asked.request.id and self._known(message, admitted, back):
            return
        plan = PLANS[asked.operation](asked.request, asked.clip is not None)
        run = Run(admitted, plan, self._deadline_ms(asked.deadline_ms), self._emit_for(admitted))
        self._admission.admit(run)
        self._unacknowledged[run.key] = [message]
        self._start(run)

    def _known(self, message: Message, admitted: Admitted, back: ReturnAddress) -> bool:
        """Joins a run that is going on, or replays its reply. ContractError(conflict) where it asked something else."""
        run = self._admission.find(admitted.client, admitted.id)
        answered = None if run else self._journal.answered(admitted.client, admitted.id)
        if not run and not answered:
            return False
        if admitted.digest != (run.admitted.digest if run else answered and answered.digest):
            raise ContractError(ErrorCode.CONFLICT, f"id {admitted.id} was used for another request", field="id")
        if run:
            run.reply_topics.setdefault(back.topic, back.correlation_data)
            if run.key in self._unacknowledged:
                self._unacknowledged[run.key].append(message)
                return True
        elif answered:
            reply = Reply.decode(answered.reply).model_copy(update={"replayed": True})
            self._publish(reply, {back.topic: back.correlation_data})
            logger.info("replayed the reply to %s/%s", admitted.client, admitted.id)
        self._mqtt.ack(message)
        return True

    def _start(self, run: Run, *, journalled: bool = False) -> None:
        client, request_id = run.key
        task = asyncio.create_task(self._see_through(run, journalled), name=f"run[{client}/{request_id}]")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _see_through(self, run: Run, journalled: bool) -> None:
        running.set("/".join(run.key))
        try:
            error = None if journalled else await self._write_down(run)
            self._on_change()
            if not error:
                run.tell(EventType.ACCEPTED)
                error = await self._perform(run)
            await self._answer(run, error)
        finally:
            self._admission.release(run)
            self._on_change()

    async def _write_down(self, run: Run) -> ContractError | None:
        error = None
        try:
            await self._journal.admit(run.admitted)
        except StorageError as exc:
            error = exc
        for message in self._unacknowledged.pop(run.key):
            self._mqtt.ack(message)
        return error

    async def _perform(self, run: Run) -> ContractError | None:
        chat = self._settings.chat
        try:
            await run.perform(self._stages, self._admission.turn(), system=chat.system, max_tokens=chat.max_tokens)
        except ContractError as exc:
            return exc
        except Exception:
            logger.exception("the run failed")
            return _internal()
        return None

    async def _answer(self, run: Run, error: ContractError | None) -> None:
        reply = self._fitting(run.reply(self._topics.agent, error), run)
        try:
            await self._journal.answer(run.admitted, reply.encode())
        except StorageError:
            logger.warning("the reply goes out unrecorded")  # an answer at hand is worth more than its record
        self._publish(reply, run.reply_topics)
        _log(reply)

    def _fitting(self, reply: Reply, run: Run) -> Reply:
        """`reply`, or what of it the broker takes."""
        if all(self._mqtt.fits(_publication(reply, topic, data)) for topic, data in run.reply_topics.items()):
            return reply
        error = ContractError(
            ErrorCode.REPLY_TOO_LARGE, "the spoken reply is larger than the broker takes; here is its text"
        )
        return reply.model_copy(update={"status": Status.ERROR, "audio": None, "error": ErrorBody.of(error)})

    def _refuse(self, back: ReturnAddress, client: str, error: ContractError) -> None:
        reply = Reply(id=back.id, status=Status.ERROR, error=ErrorBody.of(error), agent=self._topics.agent)
        self._publish(reply, {back.topic: back.correlation_data})
        logger.info("refused %s/%s: %s, %s", client, back.id, error.code.value, error.message)

    def _cancel(self, message: Message, client: str) -> None:
        request_id = target(message.payload)
        self._mqtt.ack(message)
        try:
            cancel(client, request_id, self._admission)
        except ContractError as exc:
            self._refuse(ReturnAddress(request_id, self._topics.reply(client, request_id), None), client, exc)

    def _publish(self, reply: Reply, topics: dict[str, bytes | None]) -> None:
        for topic, correlation_data in topics.items():
            try:
                self._mqtt.publish(_publication(reply, topic, correlation_data))
            except PacketTooLarge:
                logger.exception("the reply to %s cannot be sent", topic)

    def _emit_for(self, admitted: Admitted) -> Callable[[Event], None] | None:
        stream = admitted.request.stream
        if not (stream and stream.text):
            return None
        topic = self._topics.event(admitted.reply_topic)

        def emit(event: Event) -> None:
            self._mqtt.publish(Publication(topic, event.encode(), content_type="application/json"))

        return emit

    def _deadline_ms(self, asked_ms: int | None) -> int:
        return min(asked_ms or self._settings.chat.deadline_ms, self._settings.limits.max_deadline_ms)


def _publication(reply: Reply, topic: str, correlation_data: bytes | None) -> Publication:
    return Publication(topic, reply.encode(), content_type="application/json", correlation_data=correlation_data)


def _internal() -> AgentError:
    return AgentError(ErrorCode.INTERNAL, "the agent failed; its log says how")


def _log(reply: Reply) -> None:
    took = reply.timings_ms.total if reply.timings_ms else None
    engines = reply.engines.model_dump(exclude_none=True) if reply.engines else {}
    outcome = f"{reply.error.code.value}: {reply.error.message}" if reply.error else "answered"
    logger.info("%s in %s ms%s", outcome, took, f" by {', '.join(engines.values())}" if engines else "")
