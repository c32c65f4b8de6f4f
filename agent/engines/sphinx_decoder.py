"""One decoder of pocketsphinx: hears a clip whole, or piece after piece with the loudness of what came before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agent.contract.terms import Stage
from agent.errors import EngineError

__all__ = ["RATE_HZ", "SphinxDecoder"]

RATE_HZ = 16_000
"""Of all that it hears."""

_FRAME_BYTES = 320  # 10 ms of 16-bit samples
_MEAN_WEIGHT = 500  # pocketsphinx counts a mean that it is told as so many frames
_QUICK = "quick"

Mean = npt.NDArray[np.float64]


class SphinxDecoder:
    """One clip at a time. Takes 16-bit samples at RATE_HZ; each method raises EngineError where the library fails.

    A speaker's loudness and microphone are the mean of the cepstra, which is subtracted from each: of a whole clip that
    is known beforehand; of one that is still arriving it is measured on what has come so far. The library would start
    from a constant and hardly move from it in eight seconds, which costs twice the errors.
    """

    def __init__(self, *, max_states_per_frame: int, max_words_per_frame: int) -> None:
        from pocketsphinx import Decoder  # noqa: PLC0415 - only who takes this engine needs the library

        try:
            self._decoder = Decoder(
                loglevel="FATAL", samprate=RATE_HZ, maxhmmpf=max_states_per_frame, maxwpf=max_words_per_frame
            )
            self._decoder.add_keyphrase(_QUICK, "oh")
        except (RuntimeError, ValueError) as exc:
            raise EngineError(Stage.STT, f"pocketsphinx cannot load: {exc}") from exc
        self._subtracted: Mean = np.zeros(0)
        self._sum: Mean = np.zeros(0)
        self._frames = 0.0

    def hear(self, pcm: bytes) -> str:
        """The words of a whole clip."""
        if not pcm:
            return ""
        try:
            self._decoder.reinit_feat()  # or the loudness of the last clip colours this one
            self._decoder.start_utt()
            try:
                self._decoder.process_raw(pcm, no_search=False, full_utt=True)
            finally:
                self._decoder.end_utt()
            return self._words()
        except (RuntimeError, IndexError) as exc:
            raise _failed(exc) from exc

    def begin(self, pcm: bytes) -> None:
        """Hears how a clip begins, which should be a second of it, so that its loudness can be told."""
        try:
            loudness = self._glance(pcm)
            self._subtract(loudness)
            self._sum, self._frames = np.zeros_like(loudness), 0.0
            self._decoder.start_utt()
        except (RuntimeError, IndexError) as exc:
            raise _failed(exc) from exc
        self.go_on(pcm)

    def go_on(self, pcm: bytes) -> None:
        """Hears how it goes on: a second at most."""
        try:
            self._decoder.process_raw(pcm, no_search=False, full_utt=False)
        except (RuntimeError, IndexError) as exc:
            raise _failed(exc) from exc
        frames = len(pcm) / _FRAME_BYTES
        self._sum += frames * self._measured(frames)
        self._frames += frames
        self._subtract(self._sum / self._frames)

    def end(self) -> str:
        """The words of the clip, which is whole now; a second look at it all takes a fifth of the first."""
        try:
            self._decoder.end_utt()
            return self._words()
        except RuntimeError as exc:
            raise _failed(exc) from exc

    def _glance(self, pcm: bytes) -> Mean:
        """The mean of a clip's beginning. Search for a single word takes a sixth of the time; none cannot be had."""
        self._decoder.activate_search(_QUICK)
        try:
            self._decoder.reinit_feat()
            self._subtracted = self._told()
            self._decoder.start_utt()
            try:
                self._decoder.process_raw(pcm, no_search=True, full_utt=False)
                return self._measured(len(pcm) / _FRAME_BYTES)
            finally:
                self._decoder.end_utt()
        finally:
            self._decoder.activate_search()
            self._decoder.reinit_feat()

    def _measured(self, frames: float) -> Mean:
        """The mean of the last `frames`, from the library's own, which is blended with what it was told."""
        blended = self._told(update=True)
        return blended + _MEAN_WEIGHT / frames * (blended - self._subtracted)

    def _subtract(self, mean: Mean) -> None:
        self._decoder.set_cmn(",".join(f"{value:.6f}" for value in mean))
        self._subtracted = mean

    def _told(self, *, update: bool = False) -> Mean:
        return np.array(self._decoder.get_cmn(update).split(","), dtype=np.float64)

    def _words(self) -> str:
        heard = self._decoder.hyp()
        return heard.hypstr if heard else ""


def _failed(exc: Exception) -> EngineError:
    return EngineError(Stage.STT, f"pocketsphinx failed: {exc}")
