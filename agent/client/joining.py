"""Chunks of speech, each playable by itself, as one file that can be played while it is still being written."""

from __future__ import annotations

import io
import struct
import wave
from typing import Protocol

from agent.client import ogg
from agent.contract.terms import AudioFormat

_UNKNOWN = 0xFFFF_FFFF
_SAMPLE_BYTES = 2
_HIGHEST_RATE = 192_000
_PCM = 1
_WAV_HEAD = struct.Struct("<4sI4s4sIHHIIHH4sI")
_OGG_HEADERS = 2


class Joined(Protocol):
    """The file."""

    def add(self, chunk: bytes) -> bytes:
        """What the file goes on with. ValueError where `chunk` is damaged, or no more of the same."""

    def end(self) -> bytes:
        """What it ends with."""

    def head(self) -> bytes:
        """What it had begun with, had its length been known; to be written over the beginning. Mostly nothing."""


def joined(kind: AudioFormat) -> Joined:
    """A new file of chunks of `kind`."""
    made: dict[AudioFormat, type[Joined]] = {
        AudioFormat.WAV: JoinedWav,
        AudioFormat.PCM: JoinedPcm,
        AudioFormat.OPUS: JoinedOpus,
    }
    return made[kind]()


class JoinedWav:
    """WAV of 16 bit, mono; with the length that stream writers give, which players take for: until it ends."""

    def __init__(self) -> None:
        self._rate = 0
        self._bytes = 0

    def add(self, chunk: bytes) -> bytes:
        """The samples of `chunk`; before the first ones a header."""
        try:
            with wave.open(io.BytesIO(chunk)) as read:
                params = read.getparams()
                samples: bytes = read.readframes(params.nframes)
        except (wave.Error, EOFError, RuntimeError) as exc:  # a chunk that reaches past its end is a RuntimeError
            raise ValueError(f"a chunk is no WAV file: {exc}") from exc
        rate = self._rate or min(params.framerate, _HIGHEST_RATE)
        if (params.framerate, params.nchannels, params.sampwidth) != (rate, 1, _SAMPLE_BYTES):
            raise ValueError(f"a chunk is not mono, of 16 bit, at {rate} Hz")
        head = b"" if self._rate else _wav_head(rate, _UNKNOWN)
        self._rate = rate
        self._bytes += len(samples)
        return head + samples

    def end(self) -> bytes:
        """Nothing."""
        return b""

    def head(self) -> bytes:
        """The header with the lengths."""
        return _wav_head(self._rate, self._bytes) if self._rate else b""


class JoinedPcm:
    """Samples alone."""

    def add(self, chunk: bytes) -> bytes:
        """`chunk` itself."""
        if len(chunk) % _SAMPLE_BYTES:
            raise ValueError("a chunk ends within a sample")
        return chunk

    def end(self) -> bytes:
        """Nothing."""
        return b""

    def head(self) -> bytes:
        """Nothing."""
        return b""


class JoinedOpus:
    """Opus in Ogg, one stream: files one after the other are Ogg, too, but many players stop after the first."""

    def __init__(self) -> None:
        self._serial = 1
        self._pages = 0
        self._samples = 0

    def add(self, chunk: bytes) -> bytes:
        """The pages of `chunk`, counted on; the headers only of the first one."""
        packets = list(ogg.packets(chunk))
        headers, sound = packets[:_OGG_HEADERS], packets[_OGG_HEADERS:]
        if not sound or not headers[0].startswith(b"OpusHead"):
            raise ValueError("a chunk is no Opus in Ogg")
        made = [] if self._pages else [self._page(header, first=not number) for number, header in enumerate(headers)]
        return b"".join((*made, *self._sound(sound)))

    def end(self) -> bytes:
        """An empty last page."""
        return self._page(last=True) if self._pages else b""

    def head(self) -> bytes:
        """Nothing."""
        return b""

    def _sound(self, packets: list[bytes]) -> list[bytes]:
        made: list[bytes] = []
        content: list[bytes] = []
        segments = 0
        for packet in packets:
            if segments + ogg.segments_of(packet) > ogg.MOST_SEGMENTS:
                made.append(self._page(*content))
                content, segments = [], 0
            content.append(packet)
            segments += ogg.segments_of(packet)
            self._samples += ogg.samples_of(packet)
        return [*made, self._page(*content)]

    def _page(self, *content: bytes, first: bool = False, last: bool = False) -> bytes:
        number, self._pages = self._pages, self._pages + 1
        return ogg.page(content, ends_at=self._samples, serial=self._serial, number=number, first=first, last=last)


def _wav_head(rate: int, size: int) -> bytes:
    whole = size if size == _UNKNOWN else _WAV_HEAD.size - 8 + size
    chunk = (b"fmt ", 16, _PCM, 1, rate, rate * _SAMPLE_BYTES, _SAMPLE_BYTES, 8 * _SAMPLE_BYTES)
    return _WAV_HEAD.pack(b"RIFF", whole, b"WAVE", *chunk, b"data", size)
