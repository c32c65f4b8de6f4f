"""Runs the bridge: `python -m bridge`, set by `EDGEVOICE_BRIDGE_…`."""

from __future__ import annotations

import argparse
import logging
import resource
import socket
import sys
from typing import NoReturn

from pydantic import ValidationError

from agent.contract.wire import first_fault
from agent.title import entitle
from bridge.access.access import Access, check_callers
from bridge.app import new_tally
from bridge.server import max_connections, serve
from bridge.settings import BridgeSettings
from bridge.workers.roll import Roll
from bridge.workers.supervisor import Supervisor

logger = logging.getLogger("bridge")

_EX_CONFIG = 78
_NOT_STARTED = 3
_BACKLOG = 2_048
_OTHER_FILES = 500
_CLOSING_S = 8


def main() -> None:
    """Serves until SIGINT, SIGTERM or SIGHUP; callers that wait then still get an answer within the grace time."""
    argparse.ArgumentParser("python -m bridge", description=BridgeSettings.__doc__, epilog=__doc__).parse_args()
    settings = _settings()
    entitle("bridge")
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    _allow_files(max_connections(settings) + _OTHER_FILES)
    if not (serve(settings) if settings.workers == 1 else _supervise(settings)):
        sys.exit(_NOT_STARTED)


def _supervise(settings: BridgeSettings) -> bool:
    """Has all workers take callers from one queue, so that one that dies takes nobody along but its own."""
    roll = Roll(workers=settings.workers)
    access = Access(settings)
    tally = new_tally(workers=settings.workers)
    with _listen(settings) as listener:

        def work(number: int) -> bool:
            entitle("bridge", "worker", str(number))
            roll.begin_row(number)
            tally.begin_row(number)
            return serve(settings, listener=listener, roll=roll, access=access, tally=tally, supervised=True)

        grace_s = settings.graceful_shutdown_s + _CLOSING_S
        return Supervisor(work, workers=settings.workers, grace_s=grace_s).run()


def _listen(settings: BridgeSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as exc:
        logger.error("cannot listen on %s, port %d: %s", settings.host, settings.port, exc)  # noqa: TRY400 - all is said
        sys.exit(_NOT_STARTED)
    logger.info("%d workers listen on %s, port %d", settings.workers, settings.host, listener.getsockname()[1])
    return listener


def _settings() -> BridgeSettings:
    try:
        settings = BridgeSettings()
        settings.mqtt.check_files()
        check_callers(settings)
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
