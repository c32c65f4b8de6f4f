"""The end of speech, found while a clip is still arriving."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
import soxr

from agent.audio.sound import SILENCE_DBFS, Audio

__all__ = ["Endpointer"]

_RATE = 16_000
_FRAME_MS = 20
_FRAME = _RATE * _FRAME_MS // 1_000
_AGGRESSIVENESS = 1
"""Of WebRTC's detector, 0 to 3: how soon it takes a sound for noise."""

_NEIGHBOURS = 300 // _FRAME_MS
_SPOKEN = 120 // _FRAME_MS
"""Frames among as many neighbours that make speech; a click, a key or a short cough has fewer."""

_FLOOR_FRAMES = 3_000 // _FRAME_MS
_ABOVE_FLOOR = 10 ** (6 / 20)
"""Speech is so much louder than the quietest frame of the last seconds: a fan or a hum is not, however loud."""

_STRANGE_FRAMES = 1_000 // _FRAME_MS
"""Where a clip begins in the middle of a word, only the end of the word shows how loud it was."""

_SILENCE = 10 ** (SILENCE_DBFS / 20)


class Endpointer:
    """Listens to one clip and says when whoever speaks in it has stopped."""

    def __init__(self, sample_rate: int, *, end_silence_ms: int) -> None:
        """`sample_rate` is that of the clip [Hz]; `end_silence_ms` is how long they must be silent; 0: for ever."""
        import webrtcvad  # noqa: PLC0415 - only for clips that arrive in pieces

        self._detector = webrtcvad.Vad(_AGGRESSIVENESS)
        self._resampler = soxr.ResampleStream(sample_rate, _RATE, 1, dtype="float32") if sample_rate != _RATE else None
        self._end_frames = -(-end_silence_ms // _FRAME_MS)
        self._rest = np.empty(0, dtype=np.float32)
        self._levels: deque[float] = deque(maxlen=_FLOOR_FRAMES)
        self._voiced: deque[float] = deque(maxlen=_NEIGHBOURS)
        self._silent_frames = 0
        self._heard_speech = False

    @property
    def heard_speech(self) -> bool:
        """Whether anybody has spoken yet."""
        return self._heard_speech

    def feed(self, audio: Audio) -> bool:
        """The clip goes on; whether speech has ended in what has come so far."""
        frames = self._frames(audio.samples)
        shorts = Audio(frames.reshape(-1), _RATE).pcm16()
        for number, level in enumerate(frames.std(axis=1).tolist()):
            start = number * _FRAME * 2
            self._hear(level, shorts[start : start + _FRAME * 2])
            if self._heard_speech and 0 < self._end_frames <= self._silent_frames:
                return True
        return False

    def _frames(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """What is complete of them, a row a frame."""
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) // _FRAME * _FRAME
        self._rest = samples[whole:]
        return samples[:whole].reshape(-1, _FRAME)

    def _hear(self, level: float, frame: bytes) -> None:
        self._levels.append(level)
        loud = max(_SILENCE, min(self._levels) * _ABOVE_FLOOR)
        counts = level >= loud or len(self._levels) <= _STRANGE_FRAMES
        detected = self._detector.is_speech(frame, _RATE)  # asked each time: it learns what the noise is like
        self._voiced.append(level if detected and counts else 0.0)
        ages = [age for age, heard in enumerate(reversed(self._voiced)) if heard >= loud]
        self._silent_frames += 1
        if len(ages) >= _SPOKEN:
            self._heard_speech = True
            self._silent_frames = min(self._silent_frames, ages[0])
