"""Sound as one value: float32 mono at some rate, and the measure of silence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

__all__ = ["SILENCE_DBFS", "Audio"]

SILENCE_DBFS = -55.0
"""A clip whose loudest window is below this is silence.

The noise of an open microphone in a quiet room, at -60 dBFS and below, stays under it in every window; the loudest
syllable of whispered speech, recorded so faintly that it averages -60 dBFS, rises above it.
"""

_WINDOW_S = 0.03
_BLOCK = 65_536  # samples: its floats stay in the processor's cache
_FULL_SCALE = np.float32(32_768)
_LARGEST = np.float32(32_767) / _FULL_SCALE


@dataclass(frozen=True, eq=False)
class Audio:
    """A clip, mono."""

    samples: npt.NDArray[np.float32]
    """One dimension, within [-1, 1]."""
    sample_rate: int
    """Samples a second [Hz]."""

    @classmethod
    def from_pcm16(cls, shorts: npt.NDArray[np.int16], sample_rate: int) -> Audio:
        """The clip that 16-bit integers stand for."""
        return cls(np.multiply(shorts, 1 / _FULL_SCALE, dtype=np.float32), sample_rate)

    @classmethod
    def joined(cls, pieces: Sequence[Audio]) -> Audio:
        """One after the other: at least one, all of one rate."""
        if len(pieces) == 1:
            return pieces[0]
        return cls(np.concatenate([piece.samples for piece in pieces]), pieces[0].sample_rate)

    @property
    def duration_s(self) -> float:
        """Length [s]."""
        return len(self.samples) / self.sample_rate

    @property
    def level_dbfs(self) -> float:
        """RMS of the loudest 30 ms, a constant offset left out [dBFS]; -inf where nothing ever moves."""
        window = max(1, round(self.sample_rate * _WINDOW_S))
        whole = len(self.samples) // window * window
        loudest = self.samples[:whole].reshape(-1, window).std(axis=1).max(initial=0.0)
        rest = self.samples[whole:]
        if len(rest):
            loudest = max(loudest, rest.std())
        return 20 * math.log10(loudest) if loudest > 0 else -math.inf

    @property
    def is_silent(self) -> bool:
        """Whether nobody can be speaking: no 30 ms of it reach SILENCE_DBFS."""
        return self.level_dbfs < SILENCE_DBFS

    def resampled(self, sample_rate: int) -> Audio:
        """The same sound at another rate; the same object at its own."""
        if sample_rate == self.sample_rate:
            return self
        samples = soxr.resample(self.samples, self.sample_rate, sample_rate)
        return Audio(np.clip(samples, -1, 1, out=samples), sample_rate)  # a filter overshoots at full scale

    def shorts(self) -> npt.NDArray[np.int16]:
        """The samples as 16-bit integers; what is no number is silence."""
        written = np.empty(len(self.samples), dtype=np.int16)
        for start in range(0, len(self.samples), _BLOCK):
            block = np.clip(self.samples[start : start + _BLOCK], -1, _LARGEST)
            block *= _FULL_SCALE
            np.rint(block, out=block)
            if np.isnan(block.sum()):
                block[np.isnan(block)] = 0
            written[start : start + _BLOCK] = block
        return written

    def pcm16(self) -> bytes:
        """The same, little endian."""
        return self.shorts().astype("<i2", copy=False).tobytes()
