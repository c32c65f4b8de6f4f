"""An answer in the terminal, its speech in a file: whole, or as it comes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

from typing_extensions import Self

from agent.client import AudioChunk
from agent.client.joining import joined
from agent.contract.base64 import decode_base64
from agent.contract.events import Event, EventType
from agent.contract.reply import AudioBody, EngineNames, Reply, Timings
from agent.contract.terms import AudioFormat, Status

_SPEECH_IS = AudioFormat.WAV


class Answer:
    """What is printed, and written to `out`; a context, for the file."""

    def __init__(self, out: Path) -> None:
        self.status: Status | None = None
        """How it ended; None until it has."""
        self._out = out
        self._heard: str | None = None
        self._written = ""
        self._joined = joined(_SPEECH_IS)
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._close()

    def tell(self, part: Event | AudioChunk | Reply) -> None:
        """Shows the next part of it, the last one without what was shown before."""
        if isinstance(part, Reply):
            self._end(part)
        elif isinstance(part, AudioChunk):
            self._play(part)
        elif part.type is EventType.STT_END and part.text is not None:
            self._hear(part.text)
        elif part.type is EventType.TOKEN:
            self._write(part.delta or "")
        elif part.type is EventType.ACCEPTED:  # once more where the agent was killed: it begins anew
            self._end_line()

    def _end(self, reply: Reply) -> None:
        self.status = reply.status
        written = self._written
        self._end_line()
        if reply.transcript:
            self._hear(reply.transcript.text)
        if reply.text is not None and reply.text != written:
            print(f"answer   {reply.text}")
        if reply.audio and reply.audio.data is not None:
            self._out.write_bytes(decode_base64(reply.audio.data))
        if reply.audio or self._file:
            print(f"speech   {self._out}{_length(reply.audio)}")
        if reply.engines:
            print(f"engines  {_pairs(reply.engines)}")
        if reply.timings_ms:
            print(f"took     {_pairs(reply.timings_ms)}")
        if reply.error:
            sys.stderr.write(f"edgevoice: {reply.error.code.value}: {reply.error.message}\n")

    def _hear(self, text: str) -> None:
        if text != self._heard:
            self._heard = text
            print(f"heard    {text}", flush=True)

    def _write(self, piece: str) -> None:
        print(piece if self._written else f"answer   {piece}", end="", flush=True)
        self._written += piece

    def _end_line(self) -> None:
        if self._written:
            print()
        self._written = ""

    def _play(self, chunk: AudioChunk) -> None:
        self._file = self._file or self._out.open("wb", buffering=0)  # whoever plays it already gets all there is
        self._file.write(self._joined.add(chunk.data))

    def _close(self) -> None:
        if not self._file:
            return
        with self._file as file:
            file.write(self._joined.end())
            if file.seekable():
                file.seek(0)
                file.write(self._joined.head())


def _length(audio: AudioBody | None) -> str:
    return f" ({audio.duration_ms / 1_000:.1f} s)" if audio else ""


def _pairs(model: EngineNames | Timings) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.0f} ms" if isinstance(value, float) else f"{name} {value}"
        for name, value in model.model_dump(exclude_none=True).items()
    )
