"""Looks whether a ggml file is a whole model, without loading it: whisper.cpp crashes, or worse, on one that is not."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from typing_extensions import Self

__all__ = ["GgmlError", "WhisperModel", "check_vad", "check_whisper"]

_MAGIC = b"lmgg"
_HEADER = (
    "n_vocab", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer",
    "n_text_ctx", "n_text_state", "n_text_head", "n_text_layer", "n_mels", "ftype",
)  # fmt: skip
_ENGLISH_VOCABULARY = 51_864
_LANGUAGES_BESIDE = 98
_HEAD_WIDTH = 64
_FFT_BINS = 201
_VOCABULARY_BYTES = 4 << 20
_LONGEST_NAME = 256
_MOST_DIMENSIONS = 4
_F32, _F16 = 0, 1
_BLOCKS = {
    _F32: (1, 4), _F16: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
}  # fmt: skip
"""Type of a tensor → how many values share how many bytes."""
_WEIGHT_TYPES = {
    0: _F32, 1: _F16, 2002: 2, 2003: 3, 2007: 8, 2008: 6, 2009: 7, 2010: 10, 2011: 11, 2012: 12, 2013: 13, 2014: 14,
}  # fmt: skip
"""A file's ftype → the type of its large tensors; quantised ones in the second format, which is all that loads."""

_Tensor = tuple[tuple[int, ...], int]
"""Dimensions, the innermost first, and type."""

_VAD_HEADER = (512, 64, 4, 129, 128, 3, 128, 64, 3, 64, 64, 3, 64, 128, 3, 128, 128, 128, 1)
_VAD_CONVOLUTIONS = {0: (3, 129, 128), 1: (3, 128, 64), 2: (3, 64, 64), 3: (3, 64, 128)}
_VAD_TENSORS: dict[str, _Tensor] = {
    "_model.stft.forward_basis_buffer": ((256, 1, 258), _F16),
    **{f"_model.encoder.{i}.reparam_conv.weight": (shape, _F16) for i, shape in _VAD_CONVOLUTIONS.items()},
    **{f"_model.encoder.{i}.reparam_conv.bias": (shape[2:], _F32) for i, shape in _VAD_CONVOLUTIONS.items()},
    **{f"_model.decoder.rnn.weight_{side}": ((128, 512), _F32) for side in ("ih", "hh")},
    **{f"_model.decoder.rnn.bias_{side}": ((512,), _F32) for side in ("ih", "hh")},
    "_model.decoder.decoder.2.weight": ((128,), _F16),
    "_model.decoder.decoder.2.bias": ((), _F32),
}


class GgmlError(Exception):
    """Why a file is not the model that it should be; one sentence."""


@dataclass(frozen=True)
class WhisperModel:
    """What a whole model file holds."""

    language_count: int
    """Languages it hears, the first so many of whisper's own order; 1 is English only."""

    @property
    def multilingual(self) -> bool:
        """Whether it has to be told, or to find out, which language it hears."""
        return self.language_count > 1


def check_whisper(path: Path) -> WhisperModel:
    """The whisper model in `path`; GgmlError where the file is missing, cut, foreign or absurd. Reads no weights."""
    with _Walk(path, "a whisper model") as walk:
        walk.expect_magic()
        header = dict(zip(_HEADER, walk.integers(len(_HEADER)), strict=True))
        _check_header(walk, header)
        if walk.integers(2) != (header["n_mels"], _FFT_BINS):
            raise walk.refusal("its mel filters do not fit its header")
        walk.skip(4 * header["n_mels"] * _FFT_BINS)
        _check_vocabulary(walk, header["n_vocab"])
        _check_tensors(walk, dict(_tensors(header)))
    more = header["n_vocab"] - _ENGLISH_VOCABULARY
    return WhisperModel(_LANGUAGES_BESIDE + more if more else 1)


def check_vad(path: Path) -> None:
    """GgmlError where `path` is not a whole Silero model that tells speech from other sounds."""
    with _Walk(path, "a Silero VAD model") as walk:
        walk.expect_magic()
        (length,) = walk.integers(1)
        kind = walk.text(length)
        walk.integers(3)  # its version
        if kind != "silero-16k" or walk.integers(len(_VAD_HEADER)) != _VAD_HEADER:
            raise walk.refusal("its header is another model's")
        _check_tensors(walk, dict(_VAD_TENSORS))


class _Walk:
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
            raise GgmlError(f"cannot read {self._path}: {exc.strerror}") from exc
        return self

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if self._file:
            self._file.close()
        if isinstance(exc, OSError):
            raise GgmlError(f"cannot read {self._path}: {exc.strerror}") from exc

    @property
    def ended(self) -> bool:
        """Whether the file ends here."""
        return self._at == self._size

    def expect_magic(self) -> None:
        """The file's first bytes, which are the same in all of them."""
        if (magic := self.read(len(_MAGIC))) != _MAGIC:
            raise self.refusal(f"it begins with {magic!r}")

    def refusal(self, why: str) -> GgmlError:
        """The error that says `why`."""
        return GgmlError(f"{self._path} is not {self._what}: {why}; fetch it again")

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

    def tensor(self) -> tuple[str, _Tensor]:
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


def _check_header(walk: _Walk, header: dict[str, int]) -> None:
    heads = header["n_audio_state"] // _HEAD_WIDTH
    sane = {
        "n_vocab": (_ENGLISH_VOCABULARY, 51_865, 51_866),
        "n_audio_ctx": (1_500,),
        "n_audio_state": range(_HEAD_WIDTH, 4_097, _HEAD_WIDTH),
        "n_audio_head": (heads,),
        "n_audio_layer": range(1, 65),
        "n_text_ctx": (448,),
        "n_text_state": (header["n_audio_state"],),
        "n_text_head": (heads,),
        "n_text_layer": range(1, 65),
        "n_mels": (80, 128),
        "ftype": _WEIGHT_TYPES,
    }
    for name, values in sane.items():
        if header[name] not in values:
            raise walk.refusal(f"its header says {name} {header[name]}")


def _check_vocabulary(walk: _Walk, n_vocab: int) -> None:
    (count,) = walk.integers(1)
    if not 1 <= count <= n_vocab:
        raise walk.refusal(f"it has {count} tokens")
    if b"\1\0\0\0 " not in walk.vocabulary(count):  # the library looks it up without asking
        raise walk.refusal("its tokens lack the blank")


def _check_tensors(walk: _Walk, expected: dict[str, _Tensor]) -> None:
    count = len(expected)
    while not walk.ended:
        name, tensor = walk.tensor()
        wanted = expected.pop(name, None)
        if wanted is None:
            raise walk.refusal(f"its tensor {name!r} is not whisper's, or comes twice")
        if tensor != wanted:
            raise walk.refusal(f"its tensor {name!r} is {tensor}, not {wanted} (dimensions, type)")
    if expected:
        raise walk.refusal(f"it has {count - len(expected)} of {count} tensors")


def _tensors(header: dict[str, int]) -> Iterator[tuple[str, _Tensor]]:
    """Every tensor that a model of this header has."""
    width, weight = header["n_audio_state"], _WEIGHT_TYPES[header["ftype"]]
    filters = _F32 if weight == _F32 else _F16
    yield "encoder.positional_embedding", ((width, header["n_audio_ctx"]), _F32)
    yield "encoder.conv1.weight", ((3, header["n_mels"], width), filters)
    yield "encoder.conv2.weight", ((3, width, width), filters)
    for conv in ("conv1", "conv2"):
        yield f"encoder.{conv}.bias", ((1, width), _F32)
    yield "decoder.positional_embedding", ((width, header["n_text_ctx"]), _F32)
    yield "decoder.token_embedding.weight", ((width, header["n_vocab"]), weight)
    norms = ["encoder.ln_post", "decoder.ln"]
    for side, attentions in (("encoder", ("attn",)), ("decoder", ("attn", "cross_attn"))):
        for layer in range(header["n_audio_layer" if side == "encoder" else "n_text_layer"]):
            block = f"{side}.blocks.{layer}"
            norms += [f"{block}.mlp_ln", *(f"{block}.{attention}_ln" for attention in attentions)]
            yield from _linear(f"{block}.mlp.0", width, 4 * width, weight)
            yield from _linear(f"{block}.mlp.2", 4 * width, width, weight)
            for attention in attentions:
                yield f"{block}.{attention}.key.weight", ((width, width), weight)  # the only one without a bias
                for part in ("query", "value", "out"):
                    yield from _linear(f"{block}.{attention}.{part}", width, width, weight)
    for norm in norms:
        yield f"{norm}.weight", ((width,), _F32)
        yield f"{norm}.bias", ((width,), _F32)


def _linear(name: str, width: int, outputs: int, weight: int) -> Iterator[tuple[str, _Tensor]]:
    yield f"{name}.weight", ((width, outputs), weight)
    yield f"{name}.bias", ((outputs,), _F32)
