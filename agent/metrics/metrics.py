"""The agent's metrics, put together and served to Prometheus by a thread of their own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics, start_http_server
from typing_extensions import Self

from agent.contract.errors import ErrorCode
from agent.contract.reply import Reply
from agent.errors import UserError
from agent.journal.entries import Admitted
from agent.metrics.counts import Counts
from agent.metrics.gauges import Gauges, Vitals
from agent.metrics.settings import MetricsSettings

logger = logging.getLogger(__name__)


class MetricsPortError(UserError):
    """Nothing can listen where the metrics are to be."""


class Metrics:
    """What is told at `/metrics`, while the context is open and a port is set."""

    def __init__(self, settings: MetricsSettings, vitals: Callable[[], Vitals]) -> None:
        """`vitals` is called on the event loop, whenever somebody asks."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # for all in this process; nobody reads them
        self._settings = settings
        self.registry = CollectorRegistry()
        """All that is told."""
        # First: what has been counted when the event loop answered is told, too.
        self._gauges = Gauges(vitals)
        self.registry.register(self._gauges)
        self._counts = Counts(self.registry)
        ProcessCollector(registry=self.registry)
        self._serving: tuple[WSGIServer, threading.Thread] | None = None

    async def __aenter__(self) -> Self:
        self._gauges.follow(asyncio.get_running_loop())
        if self._settings.port:
            self._serving = await asyncio.to_thread(self._serve)  # it may ask a name server for our own name
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._serving:
            await asyncio.to_thread(_end, *self._serving)

    def ended(self, admitted: Admitted, reply: Reply) -> None:
        """A run has its terminal reply."""
        self._counts.ended(admitted.operation, reply)

    def refused(self, code: ErrorCode) -> None:
        """A message was answered with an error at once."""
        self._counts.refused(code)

    def _serve(self) -> tuple[WSGIServer, threading.Thread]:
        host, port = self._settings.host, self._settings.port
        try:
            serving = start_http_server(port, host, self.registry)
        except OSError as exc:
            raise MetricsPortError(
                f"EDGEVOICE_METRICS__PORT: the metrics cannot be served on {host}, port {port} ({exc}); set another"
                " port, or 0 for none"
            ) from exc
        logger.info("metrics on http://%s:%d/metrics", f"[{host}]" if ":" in host else host, port)
        return serving


def _end(server: WSGIServer, thread: threading.Thread) -> None:
    server.shutdown()
    server.server_close()
    thread.join()
