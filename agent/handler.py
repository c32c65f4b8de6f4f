"""One MQTT message in: taken on, joined to its run, answered at once, or ignored. Nothing here waits."""

from __future__ import annotations

import logging
import time
from contextlib import suppress

from agent.admin.operators import Operators
from agent.contract.errors import ContractError
from agent.contract.terms import Operation, Presence
from agent.contract.topics import Topics
from agent.errors import internal
from agent.intake import Asked, Intake
from agent.journal.entries import Admitted, ReplyTo, RunKey
from agent.journal.journal import Journal
from agent.mqtt.client import MqttClient
from agent.mqtt.message import Message
from agent.operations import cancel, lookup
from agent.pipeline.admission import Admission
from agent.replies.addressing import address_reply
from agent.replies.replies import Replies
from agent.runs.reception import Reception
from agent.sessions.calls import SessionCalls
from agent.uploads.uploads import Uploads

logger = logging.getLogger(__name__)


class Handler:
    """The agent's end of its request topics."""

    def __init__(
        self,
        topics: Topics,
        mqtt: MqttClient,
        *,
        intake: Intake,
        journal: Journal,
        admission: Admission,
        reception: Reception,
        uploads: Uploads,
        sessions: SessionCalls,
        replies: Replies,
        operators: Operators,
    ) -> None:
        self._topics = topics
        self._mqtt = mqtt
        self._intake = intake
        self._journal = journal
        self._admission = admission
        self._reception = reception
        self._uploads = uploads
        self._replies = replies
        self._operators = operators
        self._accepting = True
        self._at_once = {
            Operation.CANCEL: self._cancel,
            Operation.LOOKUP: self._look_up,
            Operation.SESSION: sessions.handle,
        }
        """Operation → what answers it beside the runs."""

    def stop_accepting(self) -> None:
        """From now on, requests stay with the broker, unacknowledged; clips that still arrive are to begin again."""
        self._accepting = False
        self._uploads.stop()

    def handle(self, message: Message) -> None:
        """The boundary: whatever is wrong with `message` is told to its sender, and it never comes again."""
        if device := self._topics.parse_client_status(message.topic):
            self._hear_of(device, message)
            return
        if not self._accepting and not self._topics.is_admin(message.topic):
            self._leave(message)
            return
        client = self._topics.caller(message.topic)
        if message.retain or client is None:
            logger.warning("ignored a %s message on %r", "retained" if message.retain else "nameless", message.topic)
            self._mqtt.ack(message)
            return
        if self._topics.is_admin(message.topic):
            self._operators.handle(message, client)
            return
        asked: Asked | None = None
        try:
            address = self._topics.parse_request(message.topic)
            if address.upload:
                self._uploads.handle(message, address, address.upload)
            elif answer := self._at_once.get(address.operation):
                answer(message, client)
            else:
                asked = self._intake.read(message, address)
                self._take_on(message, client, asked)
        except ContractError as exc:
            self._refuse(message, client, asked, exc)
        except Exception:
            logger.exception("a message on %r was not handled", message.topic)
            self._refuse(message, client, asked, internal())

    def _hear_of(self, device: str, message: Message) -> None:
        """A device says of itself whether it is there; what it said before we asked is retained, and is no news."""
        self._mqtt.ack(message)
        if message.retain or message.payload != Presence.OFFLINE.value.encode():
            return
        if ended := cancel.cancel_of_offline(device, self._admission) + self._uploads.cancel_of_offline(device):
            logger.info("%s is offline: %d of its runs are cancelled", device, ended)

    def _leave(self, message: Message) -> None:
        """It stays with the broker; so do pieces of clips, but of those whose sender was told to begin again."""
        with suppress(ContractError):
            address = self._topics.parse_request(message.topic)
            if address.upload:
                self._uploads.handle(message, address, address.upload)

    def _take_on(self, message: Message, client: str, asked: Asked) -> None:
        request_id, to = self._intake.reply_to(message, client, asked)
        key = RunKey(client, request_id)
        admitted = Admitted(key, asked.operation, asked.request, asked.clip, to, arrived_at=time.time())
        begun = self._reception.take_on(
            admitted,
            message,
            again=lambda: self.handle(message),
            named=asked.request.id is not None,
            late=asked.late,
        )
        if begun:
            self._uploads.barge_in(key, asked.request)

    def _cancel(self, message: Message, client: str) -> None:
        asked = cancel.read(message.payload)
        self._mqtt.ack(message)
        ended = self._uploads.cancel(client, asked)
        try:
            cancel.cancel(client, asked, self._admission)
        except ContractError as exc:
            key = RunKey(client, str(asked.id))
            if not ended:
                self._replies.refuse(key, ReplyTo(self._topics.reply(*key)), exc)

    def _look_up(self, message: Message, client: str) -> None:
        asked = lookup.read(message.payload)
        request_id, to = self._intake.address(message, client, asked.id, asked.reply_to)
        key = RunKey(client, request_id)
        try:
            self._replies.check_clear()
            wanted = RunKey(client, asked.request_id)
            arriving = self._uploads.is_open(wanted)
            found = lookup.look_up(wanted, self._admission, self._journal.answered, arriving=arriving)
        except ContractError as exc:
            self._replies.refuse(key, to, exc)
        else:
            self._replies.answer(key, to, found, found.model_copy(update={"reply": None}))
        self._mqtt.ack(message)

    def _refuse(self, message: Message, client: str, asked: Asked | None, error: ContractError) -> None:
        request_id, to = self._intake.reply_to(message, client, asked)
        key = RunKey(client, request_id)
        if asked is None and (self._admission.find(key) or self._uploads.is_open(key)):
            # whose own outcome is still to come
            request_id, to = address_reply(self._topics, message, client, {})
        self._replies.refuse(RunKey(client, request_id), to, error)
        self._mqtt.ack(message)
