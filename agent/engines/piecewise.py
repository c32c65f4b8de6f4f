"""Sound that comes in pieces, at another rate: what comes of it is as if it had come in one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from agent.audio import Audio

__all__ = ["Piecewise"]


class Piecewise:
    """One clip on its way to `sample_rate`; its first piece tells the rate it has."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._stream: soxr.ResampleStream | None = None

    def take(self, piece: Audio) -> Audio:
        """What can be told of the clip so far; the rest comes with the next piece."""
        if self._stream is None and piece.sample_rate != self._rate:
            self._stream = soxr.ResampleStream(piece.sample_rate, self._rate, 1, dtype="float32")
        return self._resampled(self._stream, piece.samples) if self._stream else piece

    def rest(self) -> Audio:
        """What is left, once there is no more to come."""
        nothing = np.zeros(0, np.float32)
        return self._resampled(self._stream, nothing, last=True) if self._stream else Audio(nothing, self._rate)

    def _resampled(self, stream: soxr.ResampleStream, samples: npt.NDArray[np.float32], *, last: bool = False) -> Audio:
        made = stream.resample_chunk(samples, last=last)
        return Audio(np.clip(made, -1, 1, out=made), self._rate)  # a filter overshoots at full scale
