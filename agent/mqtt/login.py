"""One attempt to connect, and what the broker says to it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Sequence

from agent.mqtt.link import Link
from agent.mqtt.listener import Welcome
from agent.mqtt.message import Delivery, Message
from agent.mqtt.settings import MqttSettings

_PAUSE_S = 0.3
"""Before a second attempt, which is given up before it begins."""


async def refusals(users: Iterable[MqttSettings], *, timeout_s: float = 3.0) -> list[str | None]:
    """Why each does not get in, None where it does; all at once."""
    return await asyncio.gather(*(_refusal(user, timeout_s) for user in users))


class _FirstAnswer:
    """Waits for what becomes of the first attempt."""

    def __init__(self) -> None:
        self.reason: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def link_up(self, welcome: Welcome) -> None:
        """It gets in."""
        self._settle(None)

    def link_lost(self, reason: str) -> None:
        """It does not."""
        self._settle(reason)

    def link_granted(self, mid: int, refusals: Sequence[str | None]) -> None:
        """Nothing is subscribed to."""

    def link_confirmed(self, mid: int, delivery: Delivery) -> None:
        """Nothing is published."""

    def link_message(self, message: Message) -> None:
        """Nothing is heard."""

    def _settle(self, reason: str | None) -> None:
        if not self.reason.done():
            self.reason.set_result(reason)


async def _refusal(user: MqttSettings, timeout_s: float) -> str | None:
    answer = _FirstAnswer()
    link = Link(
        user.model_copy(update={"reconnect_min_s": _PAUSE_S, "reconnect_max_s": _PAUSE_S}),
        answer,
        client_id=f"edgevoice-login-{uuid.uuid4().hex[:8]}",
        will=None,
        session_expiry_s=0,
    )
    link.open(asyncio.get_running_loop())
    try:
        # When 3.10 is not supported anymore, use `async with asyncio.timeout(...):`
        return await asyncio.wait_for(answer.reason, timeout_s)
    except asyncio.TimeoutError:
        return f"no answer within {timeout_s:g} s, as from what is no MQTT port, or one with TLS"
    finally:
        await link.close()
