"""Runs the bridge: `python -m bridge`, set by `EDGEVOICE_BRIDGE_…`."""

from __future__ import annotations

import argparse
import logging
import resource
import socket
import sys
from contextlib import suppress
from typing import NoReturn

import uvicorn
from pydantic import ValidationError

from agent.contract.wire import first_fault
from agent.notify import notify
from bridge.app import create_app
from bridge.settings import BridgeSettings

_MAX_HEADER_BYTES = 16_384
_EX_CONFIG = 78
_NOT_STARTED = 3


def main() -> None:
    """Serves until SIGINT or SIGTERM; callers that wait then still get their answer within the grace time."""
    argparse.ArgumentParser("python -m bridge", description=BridgeSettings.__doc__, epilog=__doc__).parse_args()
    settings = _settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    # A caller that waits is not the only connection: idle ones, slow ones and who is told `busy` count, too.
    max_connections = 2 * settings.max_waiting + 100
    _allow_files(max_connections + 100)
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        limit_concurrency=max_connections,
        timeout_graceful_shutdown=settings.graceful_shutdown_s,
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level=settings.log_level.lower(),
    )
    server = _Server(config)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(_NOT_STARTED)


class _Server(uvicorn.Server):
    """Tells the service manager when it listens, and when it is about to end."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        notify("READY=1")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        notify("STOPPING=1")
        await super().shutdown(sockets)


def _settings() -> BridgeSettings:
    try:
        settings = BridgeSettings()
        settings.mqtt.check_files()
    except ValidationError as exc:
        field, message = first_fault(exc)
        _give_up(f"EDGEVOICE_BRIDGE_{field.replace('.', '__').upper()}: {message}" if field else message)
    except OSError as exc:
        _give_up(str(exc))
    except ValueError as exc:  # JSON in a variable, or `.env`, that cannot be read
        _give_up(f"{exc}; `edgevoice settings` tells more")
    return settings


def _give_up(why: str) -> NoReturn:
    sys.stderr.write(f"The bridge cannot start: {why}\n")
    sys.exit(_EX_CONFIG)


def _allow_files(wanted: int) -> None:
    """Raises the soft limit of open files towards `wanted`, as far as the hard one lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


if __name__ == "__main__":
    main()
