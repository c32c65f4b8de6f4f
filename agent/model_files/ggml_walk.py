"""Reads a ggml file from front to back, tensor by tensor, without its weights."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import BinaryIO

from typing_extensions import Self

from agent.model_files.fault import ModelFault

_MAGIC = b"lmgg"
_VOCABULARY_BYTES = 4 << 20
_LONGEST_NAME = 256
_MOST_DIMENSIONS = 4

F32, F16 = 0, 1
"""Types of a tensor whose values are stored as they are."""
_BLOCKS = {
    F32: (1, 4), F16: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
}  # fmt: skip
"""Type of a tensor → how many values share how many bytes."""
Tensor = tuple[tuple[int, ...], int]
"""Dimensions, the innermost first, and type."""


class Walk:
    """A file, read from front to back; whatever is wrong with it becomes a refusal."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._file: BinaryIO | None = None
        self._size = self._at = 0

    def __enter__(self) -> Self:
        try:
            self._file = self._path.open("rb")
            self._size = os.fstat(self._file.fileno()).st_size
        except OSError as exc:
            raise ModelFault(f"cannot read {self._path}: {exc.strerror}") from exc
        return self

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if self._file:
            self._file.close()
        if isinstance(exc, OSError):
            raise ModelFault(f"cannot read {self._path}: {exc.strerror}") from exc

    @property
    def ended(self) -> bool:
        """Whether the file ends here."""
        return self._at == self._size

    def expect_magic(self) -> None:
        """The file's first bytes, which are the same in all of them."""
        if (magic := self.read(len(_MAGIC))) != _MAGIC:
            raise self.refusal(f"it begins with {magic!r}")

    def refusal(self, why: str) -> ModelFault:
        """The error that says `why`."""
        return ModelFault(f"{self._path} is not {self._what}: {why}; fetch it again")

    def read(self, count: int) -> bytes:
        """The next bytes, all of them."""
        data = self._file.read(count) if self._file and 0 <= count <= self._size - self._at else b""
        if len(data) != count:
            raise self.refusal(f"it is cut off at {self._size} bytes")
        self._at += count
        return data

    def skip(self, count: int) -> None:
        """Passes over bytes, which must be there."""
        if self._file is None or count > self._size - self._at:
            raise self.refusal(f"it is cut off at {self._size} bytes")
        self._at = self._file.seek(self._at + count)

    def integers(self, count: int) -> tuple[int, ...]:
        """The next 32-bit integers."""
        return struct.unpack(f"<{count}i", self.read(4 * count))

    def text(self, length: int) -> str:
        """The next text, of a length that the file names."""
        if not 0 <= length <= _LONGEST_NAME:
            raise self.refusal(f"a text of {length} bytes at {self._at} bytes makes no sense")
        return self.read(length).decode("latin-1")

    def vocabulary(self, count: int) -> bytes:
        """The next texts as they are, each with its length before it; read at once, for there are very many."""
        data = self.read(min(_VOCABULARY_BYTES, self._size - self._at))
        length_at, end = struct.Struct("<I").unpack_from, 0
        try:
            for _ in range(count):
                end += 4 + length_at(data, end)[0]
        except struct.error:
            end = len(data) + 1
        if end > len(data):
            raise self.refusal("its vocabulary is cut off or makes no sense")
        self.skip(end - len(data))
        return data[:end]

    def tensor(self) -> tuple[str, Tensor]:
        """The next tensor's name, dimensions and type; its values are passed over."""
        rank, length, kind = self.integers(3)
        if not 0 <= rank <= _MOST_DIMENSIONS or kind not in _BLOCKS:
            raise self.refusal(f"{rank} dimensions or type {kind} of a tensor at {self._at} bytes make no sense")
        dimensions = self.integers(rank)
        name = self.text(length)
        values, size = _BLOCKS[kind]
        if min(dimensions, default=1) < 1 or math.prod(dimensions[:1]) % values:
            raise self.refusal(f"the dimensions {dimensions} of its tensor {name!r} make no sense")
        self.skip(math.prod(dimensions) // values * size)
        return name, (dimensions, kind)
