"""All clips that are still arriving: begun, continued, ended; each is handed on as a request, or refused, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import Limits
from agent.contract.messages import Cancel, Request, UploadStart
from agent.contract.terms import UploadStep
from agent.contract.topics import Address, UploadPart
from agent.errors import Cancelled, CancelReason, Expired
from agent.intake import Asked, Intake
from agent.journal.entries import ReplyTo, RunKey
from agent.mqtt.message import Message
from agent.pipeline.telling import Teller
from agent.replies.replies import Replies
from agent.runs.reception import Reception
from agent.uploads.outcomes import Outcomes
from agent.uploads.over import Over
from agent.uploads.recording import Recording
from agent.uploads.room import Room
from agent.uploads.strays import Strays
from agent.uploads.upload import Listen, Upload


class Uploads:
    """The clips of one agent."""

    def __init__(
        self,
        limits: Limits,
        *,
        trusted: Collection[str] = (),
        intake: Intake,
        reception: Reception,
        replies: Replies,
        listen: Listen,
        ack: Callable[[Message], None],
    ) -> None:
        """`trusted` clients stand for many callers. `listen` has a clip heard while it arrives.

        `ack` is told of each message: at once, but of the one that makes a clip whole.
        """
        self._limits = limits
        self._room = Room(limits, trusted)
        self._intake = intake
        self._reception = reception
        self._replies = replies
        self._outcomes = Outcomes(reception, replies, ack)
        self._listen = listen
        self._ack = ack
        self._open: dict[RunKey, Upload] = {}
        self._over = Over()
        self._strays = Strays(self._unclaimed, ack)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def handle(self, message: Message, address: Address, part: UploadPart) -> None:
        """One message of a clip. ContractError where it should begin one and cannot be read."""
        key = RunKey(address.client, address.id or "")
        if self._stopped:
            self._leave(key, part, message)
        elif part.step is UploadStep.START:
            self._start(key, message, address)
        elif upload := self._open.get(key):
            self._go_on(upload, part, message)
        elif self._over.passes_over(key):
            self._ack(message)
        else:
            self._strays.keep(key, part, message)

    def is_open(self, key: RunKey) -> bool:
        """Whether that clip is arriving."""
        return key in self._open

    def cancel(self, client: str, asked: Cancel) -> int:
        """Ends what `asked` means of the clips of `client`; how many there were."""
        if asked.id is not None:
            return self._cancel("caller", lambda upload: upload.key == (client, asked.id))
        return self._cancel(
            "caller",
            lambda upload: upload.key.client == client and (bool(asked.all) or _is_of(upload, asked.session_id)),
        )

    def barge_in(self, key: RunKey, request: Request) -> None:
        """Ends what else of the conversation arrives, where `request`, which is new, wants that."""
        if request.barge_in:
            self._cancel(
                "barge_in",
                lambda upload: (
                    upload.key != key and upload.key.client == key.client and _is_of(upload, request.session_id)
                ),
            )

    def cancel_of_offline(self, client: str) -> int:
        """Ends all clips of a device that is gone; how many there were."""
        return self._cancel("client_offline", lambda upload: upload.key.client == client)

    def stop(self) -> None:
        """Ends all clips: who sends them is told to begin again, and the next agent takes that on."""
        self._stopped = True
        self._strays.close()
        for upload in self._open.values():
            upload.fail(_no_upload(upload.key, "the agent stops"))

    async def close(self) -> None:
        """Drops what is left."""
        self.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, key: RunKey, message: Message, address: Address) -> None:
        try:
            start, asked = self._intake.read_start(message, address)
        except ContractError:
            self._over.add(key)
            raise
        if not (message.redelivered and self._over.passes_over(key)):
            _, to = self._intake.reply_to(message, key.client, asked)
            try:
                self._begin(key, start, asked, to)
            except ContractError as exc:
                self._over.add(key)
                self._replies.refuse(key, to, exc)
        self._ack(message)

    def _begin(self, key: RunKey, start: UploadStart, asked: Asked, to: ReplyTo) -> None:
        same = self._open.get(key)
        if same and same.failed:
            self._forget(same)  # it only has to say so
        elif same:
            if same.start != start:
                raise ContractError(ErrorCode.CONFLICT, f"id {key.id} is in use for another clip", field="id")
            return
        if asked.late:
            raise Expired(0)
        self._reception.check()
        self._room.enter(key)
        self._over.forget(key)
        self._reception.barge_in(key, asked.request)
        self.barge_in(key, asked.request)
        upload = self._open[key] = Upload(
            key,
            start,
            asked,
            to,
            recording=Recording(start, max_s=self._limits.max_upload_s),
            teller=Teller(key.id, self._replies.listener(asked.request, to)),
            longest_s=self._limits.max_upload_s + self._limits.upload_idle_ms / 1_000,
            idle_ms=self._limits.upload_idle_ms,
            grow=lambda size_bytes: self._room.grow(key, size_bytes),
            listen=_nobody if self._reception.knows(key) else self._listen,  # its reply is there, or will be
        )
        task = asyncio.create_task(self._see_through(upload), name=f"upload[{key}]")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if stray := self._strays.claim(key):
            is_whole = [upload.hear(part, payload) for part, payload in stray.parts]
            if stray.held:
                self._acknowledge(upload, stray.held, later=any(is_whole))

    def _go_on(self, upload: Upload, part: UploadPart, message: Message) -> None:
        self._acknowledge(upload, message, later=upload.hear(part, message.payload))

    def _acknowledge(self, upload: Upload, message: Message, *, later: bool) -> None:
        """At once, or `later`, by who takes the clip on: it is whole with this message."""
        if later:
            upload.last = message
        else:
            self._ack(message)

    def _leave(self, key: RunKey, part: UploadPart, message: Message) -> None:
        """All stays with the broker for the next agent, but what belongs to clips that have to begin again."""
        if part.step is UploadStep.START:
            self._over.forget(key)
        elif key in self._open or self._over.passes_over(key):
            self._ack(message)

    def _cancel(self, reason: CancelReason, is_meant: Callable[[Upload], bool]) -> int:
        meant = [upload for upload in self._open.values() if is_meant(upload)]
        for upload in meant:
            upload.fail(Cancelled(reason))
        return len(meant)

    async def _see_through(self, upload: Upload) -> None:
        try:
            await self._outcomes.see_through(upload)
        finally:
            self._forget(upload)

    def _forget(self, upload: Upload) -> None:
        upload.close()
        if self._open.get(upload.key) is upload:
            del self._open[upload.key]
            self._room.leave(upload.key)
            self._over.add(upload.key)

    def _unclaimed(self, key: RunKey, first: Message) -> None:
        """Pieces came, and no start: it was sent to an earlier agent, most likely."""
        self._over.add(key)
        if not self._reception.knows(key):
            _, to = self._intake.reply_to(first, key.client, None)
            self._replies.refuse(key, to, _no_upload(key, "its start did not come"))


async def _nobody(_: Request) -> None:
    """Listens."""


def _is_of(upload: Upload, session_id: str | None) -> bool:
    return upload.start.session_id == session_id


def _no_upload(key: RunKey, why: str) -> ContractError:
    # Without a field: with it, a requester takes the reply for the answer to a cancel.
    message = f"no clip {key.id} is arriving, {why}: begin again"
    return ContractError(ErrorCode.NOT_FOUND, message, reason="no_upload", retriable=True)
