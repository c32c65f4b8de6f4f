"""An agent that promises nothing, `python -m benchmarks.peers.unjournalled_agent`: the journal's floor."""

from __future__ import annotations

import asyncio
from asyncio import Future

from agent import service
from agent.journal.entries import Admitted, Answered, RunKey, SessionKey, Turn
from agent.journal.journal import Journal
from agent.logs import configure
from agent.settings import Settings


class Unwritten(Journal):
    """A journal in which no request and no reply is ever written, nor looked for."""

    def admit(self, admitted: Admitted, *, begun: bool = False) -> Future[None]:
        """Nothing is kept."""
        return _done()

    def begun(self, key: RunKey) -> Future[None]:
        """Nothing is kept."""
        return _done()

    def answer(self, admitted: Admitted, reply: bytes, *, said: tuple[SessionKey, Turn] | None = None) -> Future[None]:
        """Nothing is kept."""
        return _done()

    def delivered(self, key: RunKey, reply: bytes) -> None:
        """Nothing was kept."""

    def answered(self, key: RunKey) -> Answered | None:
        """Nothing was kept."""
        return None


def main() -> None:
    """Serves until it is told to stop, with the settings of its environment."""
    settings = Settings()
    configure(settings.log.level, settings.log.format)
    journal = Unwritten(settings.journal_path, synchronous=settings.journal.synchronous)
    asyncio.run(service.run(settings, journal=journal))


def _done() -> Future[None]:
    done: Future[None] = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


if __name__ == "__main__":
    main()
