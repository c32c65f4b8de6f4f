"""Feeds the service manager's watchdog, as long as the program gets on; `python -m agent.watchdog` waits for that.

An event loop that hangs feeds nothing, because the feeding is done in it. What else may hang, and would not be seen
from outside, is a check.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.notify import notify

logger = logging.getLogger(__name__)

_PING = "WATCHDOG=1"
_PINGS_A_PERIOD = 4
_MESSAGE_BYTES = 65_536


class Watchdog:
    """Says `WATCHDOG=1` four times a period, while all checks hold; the first that does not is logged."""

    def __init__(self, checks: Mapping[str, Callable[[], bool]], *, status: Callable[[], str] = str) -> None:
        """`checks`, by what each looks at, are quick, and true while that gets on; `status` goes with every ping."""
        self._checks = checks
        self._status = status
        self._stuck: str | None = None

    async def run(self) -> None:
        """Returns only where no service manager waits for us."""
        wait_s = period_s()
        while wait_s:
            self.look()
            await asyncio.sleep(wait_s / _PINGS_A_PERIOD)

    def look(self) -> None:
        """Checks, and pings or keeps silent."""
        stuck = next((name for name, holds in self._checks.items() if not _holds(name, holds)), None)
        if stuck != self._stuck:
            _tell(stuck, self._stuck)
            self._stuck = stuck
        if stuck is None:
            status = self._status()
            notify(_PING, *([f"STATUS={status}"] if status else []))


def period_s() -> float | None:
    """How long a service manager waits for a sign of life of this process [s]; None where none does."""
    period = os.environ.get("WATCHDOG_USEC", "")
    meant = os.environ.get("WATCHDOG_PID", "")
    if not period.isdecimal() or (meant and meant != str(os.getpid())):
        return None
    return int(period) / 1_000_000 or None


def main() -> int:
    """Takes the service manager's place: 0 once a ping has come to `NOTIFY_SOCKET`, 1 where a period brings none.

    For a container's health check, where no service manager is.
    """
    address, patience_s = os.environ.get("NOTIFY_SOCKET"), period_s()
    if not address or not patience_s:
        sys.stderr.write("agent.watchdog: NOTIFY_SOCKET and WATCHDOG_USEC must be set\n")
        return 1
    return 0 if _heard(Path(address), time.monotonic() + patience_s) else 1


def _heard(address: Path, deadline: float) -> bool:
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(address))
        try:
            while (left_s := deadline - time.monotonic()) > 0:
                sock.settimeout(left_s)
                if _PING in sock.recv(_MESSAGE_BYTES).decode().splitlines():
                    return True
        except TimeoutError:
            pass
        finally:
            address.unlink(missing_ok=True)
    return False


def _tell(stuck: str | None, before: str | None) -> None:
    if stuck:
        logger.error("%s is stuck: the watchdog is not fed", stuck)
        notify(f"STATUS={stuck} is stuck")
    else:
        logger.warning("%s gets on again", before)


def _holds(name: str, check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception:
        logger.exception("the watchdog's look at %s", name)
        return False


if __name__ == "__main__":
    sys.exit(main())
