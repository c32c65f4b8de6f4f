"""One worker: the HTTP server, with limits that hold from a connection's first byte on."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress
from types import FrameType

import h11
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.reply import ErrorBody
from agent.notify import notify
from bridge.access.access import Access
from bridge.app import create_app
from bridge.body_limit import refuse
from bridge.errors import problem
from bridge.metrics.tally import Tally
from bridge.settings import BridgeSettings
from bridge.workers.roll import Roll

_MAX_HEADER_BYTES = 16_384
_CLOSE = (b"connection", b"close")


def max_connections(settings: BridgeSettings) -> int:
    """Connections to one worker at once: its waiting callers, as many idle or slow ones, and some."""
    return 2 * settings.max_waiting + 100


def serve(
    settings: BridgeSettings,
    *,
    listener: socket.socket | None = None,
    roll: Roll | None = None,
    access: Access | None = None,
    tally: Tally | None = None,
    supervised: bool = False,
) -> bool:
    """Serves until SIGINT, SIGTERM or SIGHUP; whoever waits then still gets an answer within the grace time.

    On `listener`, else on the address of the settings; `supervised`, it ends with its parent. False where it could not
    begin.
    """
    parent = os.getppid() if supervised else None
    server = server_of(create_app(settings, roll=roll, access=access, tally=tally), settings, parent=parent)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener] if listener else None)
    return server.started


def server_of(app: ASGIApp, settings: BridgeSettings, *, parent: int | None = None) -> uvicorn.Server:
    """The server for `app`, which is the bridge's; it ends when `parent` is not its parent any more."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=_Protocol,
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        timeout_graceful_shutdown=settings.graceful_shutdown_s,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level=settings.log_level.lower(),
    )
    return _Server(config, parent=parent)


class _Server(uvicorn.Server):
    """Tells the service manager when it listens, and when it is about to end."""

    def __init__(self, config: uvicorn.Config, *, parent: int | None) -> None:
        super().__init__(config)
        self._parent = parent

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` means it to live on
            signal.signal(signal.SIGHUP, self._hang_up)
        await super().startup(sockets)
        notify("READY=1")

    async def on_tick(self, counter: int) -> bool:
        if self._parent and os.getppid() != self._parent:  # it was killed, and whoever takes its place wants the port
            return True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        notify("STOPPING=1")
        await super().shutdown(sockets)

    def _hang_up(self, _signal: int, _frame: FrameType | None) -> None:
        self.should_exit = True


class _Protocol(H11Protocol):
    """HTTP/1.1 whose errors are problem JSON, and whose headers must arrive in time: nobody else limits that."""

    _waiting_for_headers: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        super().connection_made(transport)
        if len(self.connections) > max_connections(self._settings):
            self.app = _crowded
        self._watch_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is told so."""
        self._answer(ContractError(ErrorCode.BAD_REQUEST, msg))

    @property
    def _settings(self) -> BridgeSettings:
        settings: BridgeSettings = self.app_state["settings"]
        return settings

    def _watch_headers(self) -> None:
        """Counts the time while a request's headers are on their way, from the connection or its first byte on."""
        if self.conn.their_state is not h11.IDLE:
            self._stop_watching()
        elif self._waiting_for_headers is None:
            timeout_s = self._settings.header_timeout_s
            self._waiting_for_headers = self.loop.call_later(timeout_s, self._give_up, timeout_s)

    def _stop_watching(self) -> None:
        if self._waiting_for_headers:
            self._waiting_for_headers.cancel()
            self._waiting_for_headers = None

    def _give_up(self, timeout_s: float) -> None:
        if self.transport.is_closing():
            return
        if not self.conn.trailing_data[0]:  # it asked nothing yet
            self.transport.close()
            return
        message = f"the headers did not arrive within {timeout_s:g} s"
        self._answer(ContractError(ErrorCode.EXPIRED, message, reason="slow_headers", limit=timeout_s))

    def _answer(self, error: ContractError) -> None:
        """Tells what was wrong, where no answer has begun yet, and closes."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()
            return
        answer = problem(ErrorBody.of(error))
        events = (
            h11.Response(status_code=answer.status_code, headers=[*answer.raw_headers, _CLOSE]),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


async def _crowded(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands in for the application where there are too many connections already."""
    error = ContractError(ErrorCode.BUSY, "too many connections; try again", reason="connections", retry_after_ms=1_000)
    await refuse(error, scope, receive, send)
