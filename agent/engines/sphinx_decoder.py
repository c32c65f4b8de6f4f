"""One decoder of pocketsphinx: hears a clip whole, or piece after piece with the loudness of what came before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agent.contract.terms import Stage
from agent.engines.base import CancelFlag
from agent.errors import EngineError

__all__ = ["PIECE_BYTES", "RATE_HZ", "SphinxDecoder"]

RATE_HZ = 16_000
"""Of all that it hears."""

PIECE_BYTES = 2 * RATE_HZ // 10
"""What it hears in one go: the library lets no other thread of the process run meanwhile."""

_FRAME_BYTES = 320  # 10 ms of 16-bit samples
_MEAN_WEIGHT = 500  # pocketsphinx counts a mean that it is told as so many frames

Mean = npt.NDArray[np.float64]


class SphinxDecoder:
    """One clip at a time. Takes 16-bit samples at RATE_HZ; each method raises EngineError where the library fails.

    A speaker's loudness and microphone are the mean of the cepstra, which is subtracted from each: of a whole clip that
    is known beforehand; of one that is still arriving it is measured on what has come so far. The library would start
    from a constant and hardly move from it in eight seconds, which costs twice the errors.
    """

    def __init__(self, *, max_states_per_frame: int, max_words_per_frame: int, second_look: bool = True) -> None:
        """`second_look`: all is searched once more when it ends, which finds a few words more and takes its time."""
        from pocketsphinx import Decoder  # noqa: PLC0415 - only who takes this engine needs the library

        try:
            self._decoder = Decoder(
                loglevel="FATAL",
                samprate=RATE_HZ,
                maxhmmpf=max_states_per_frame,
                maxwpf=max_words_per_frame,
                fwdflat=second_look,
            )
        except (RuntimeError, ValueError) as exc:
            raise EngineError(Stage.STT, f"pocketsphinx cannot load: {exc}") from exc
        self._subtracted: Mean = np.zeros(0)
        self._sum: Mean = np.zeros(0)
        self._frames = 0.0
        self._stretch = _Stretch()
        self._words: list[str] = []

    def hear(self, pcm: bytes, *, cancelled: CancelFlag) -> str:
        """The words of a whole clip; of its beginning, once `cancelled`."""
        if not pcm:
            return ""
        try:
            loudness = self._start(pcm)
            for start in range(0, len(pcm), PIECE_BYTES):
                if cancelled():
                    break
                self._search(pcm[start : start + PIECE_BYTES])
                self._subtract(loudness)
        except (RuntimeError, IndexError) as exc:
            raise _failed(exc) from exc
        return self.end()

    def begin(self, pcm: bytes) -> None:
        """Hears how a clip begins, which should be a second of it, so that its loudness can be told."""
        try:
            loudness = self._start(pcm)
        except (RuntimeError, IndexError) as exc:
            raise _failed(exc) from exc
        self._sum, self._frames = np.zeros_like(loudness), 0.0
        self.go_on(pcm)

    def go_on(self, pcm: bytes) -> None:
        """Hears how it goes on: a second at most."""
        try:
            self._search(pcm)
        except (RuntimeError, IndexError) as exc:
            raise _failed(exc) from exc
        frames = len(pcm) / _FRAME_BYTES
        self._sum += frames * self._measured(frames)
        self._frames += frames
        self._subtract(self._sum / self._frames)

    def end(self) -> str:
        """The words of the clip, which is whole now."""
        try:
            self._end_stretch()
        except RuntimeError as exc:
            raise _failed(exc) from exc
        words, self._words = self._words, []
        return " ".join(words)

    def _start(self, pcm: bytes) -> Mean:
        """Gets ready for a clip that is as loud as `pcm`, and gives that."""
        self._words = []
        loudness = self._loudness(pcm)
        self._subtract(loudness)
        self._start_stretch()
        return loudness

    def _loudness(self, pcm: bytes) -> Mean:
        """The mean of `pcm` as the library takes it of a whole clip: the constant, where nothing is to be heard."""
        self._decoder.reinit_feat()  # or the clip before is measured, too
        constant = self._told()
        self._decoder.start_utt()
        try:
            self._decoder.process_raw(pcm, no_search=True, full_utt=True)
            measured = self._told()
            # Takes the place of what was measured, all of which would be searched at the end.
            self._decoder.process_raw(pcm[:_FRAME_BYTES], no_search=True, full_utt=True)
        finally:
            self._decoder.end_utt()
        return measured if np.isfinite(measured).all() else constant

    def _search(self, pcm: bytes) -> None:
        if self._stretch.is_over(pcm):
            told = self._subtracted
            self._end_stretch()
            self._subtract(told)  # the end of a stretch moves it
            self._start_stretch()
        self._decoder.process_raw(pcm, no_search=False, full_utt=False)

    def _start_stretch(self) -> None:
        self._stretch = _Stretch()
        self._decoder.start_utt()

    def _end_stretch(self) -> None:
        """Where all of it gets a second look, that takes a fifth of the first."""
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        if heard and heard.hypstr:
            self._words.append(heard.hypstr)

    def _measured(self, frames: float) -> Mean:
        """The mean of the last `frames`, from the library's own, which is blended with what it was told."""
        blended = self._told(update=True)
        return blended + _MEAN_WEIGHT / frames * (blended - self._subtracted)

    def _subtract(self, mean: Mean) -> None:
        self._decoder.set_cmn(",".join(f"{value:.6f}" for value in mean))
        self._subtracted = mean

    def _told(self, *, update: bool = False) -> Mean:
        return np.array(self._decoder.get_cmn(update).split(","), dtype=np.float64)


class _Stretch:
    """What is searched as one utterance: a long clip is cut at its pauses, so that no end of one takes long."""

    _LONG_S, _LONGER_S, _LONGEST_S = 10.0, 20.0, 30.0
    _QUIET = 0.1  # of the loudest piece
    _PAUSE_S = 0.3

    def __init__(self) -> None:
        self._length_s = self._quiet_s = self._loudest = 0.0

    def is_over(self, pcm: bytes) -> bool:
        """Whether it ended before this piece: at a pause; the longer it is, the shorter that may be."""
        wanted_s = self._PAUSE_S if self._length_s < self._LONGER_S else PIECE_BYTES / (2 * RATE_HZ)
        paused = self._length_s >= self._LONG_S and self._quiet_s >= wanted_s
        over = paused or self._length_s >= self._LONGEST_S
        self._take(pcm)
        return over

    def _take(self, pcm: bytes) -> None:
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
        length_s = len(samples) / RATE_HZ
        loud = float(samples.astype(np.float32).std()) if len(samples) else 0.0
        self._loudest = max(self._loudest, loud)
        self._length_s += length_s
        self._quiet_s = self._quiet_s + length_s if loud < self._QUIET * self._loudest else 0.0


def _failed(exc: Exception) -> EngineError:
    return EngineError(Stage.STT, f"pocketsphinx failed: {exc}")
