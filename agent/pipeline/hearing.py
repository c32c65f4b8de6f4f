"""What an engine hears of a clip while it arrives, so that little is left to do after the last word."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from agent.audio import Audio
from agent.engines.base import AsyncListening, Transcript
from agent.errors import EngineError
from agent.pipeline.telling import Teller

logger = logging.getLogger(__name__)


class Hearing:
    """One clip being heard. Close it, whatever comes of the clip; more than once does no harm."""

    def __init__(self, listening: AsyncListening) -> None:
        """`listening` is given back at the end."""
        self._listening: AsyncListening | None = listening

    def feed(self, audio: Audio) -> None:
        """The clip goes on."""
        if self._listening:
            self._listening.feed(audio)

    async def finish(self) -> Transcript | None:
        """What was said, now that the clip is whole, and closes it; None where the engine failed."""
        if self._listening is None:
            return None
        try:
            return await self._listening.finish()
        except EngineError as exc:
            logger.warning("not heard while it arrived: %s", exc.message)
            return None
        finally:
            self.close()

    def close(self) -> None:
        """Gives the engine back what it has of the clip."""
        listening, self._listening = self._listening, None
        if listening:
            listening.close()


@dataclass(frozen=True)
class Live:
    """What there is of a run before it begins: its clip was heard while it arrived. Close it, whatever comes of it."""

    teller: Teller
    """Has told of the clip, and goes on with the run."""
    hearing: Hearing | None = None

    def close(self) -> None:
        """Nobody needs it any more."""
        if self.hearing:
            self.hearing.close()
