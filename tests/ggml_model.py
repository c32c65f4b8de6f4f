"""Writes whisper models in the ggml format, with made-up weights: scripted ones for tests, random ones for their cost.

A scripted model hears what it was told to hear, whatever the clip. All its blocks are zero, so what the decoder says
next depends on the position alone: the embedding of a position points at the token that is wanted there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

Weights = Callable[[str, tuple[int, ...]], npt.NDArray[np.float32]]
"""The values of a tensor, by its name and shape."""

_MAGIC = 0x67676D6C
_AUDIO_CONTEXT, _TEXT_CONTEXT, _MELS, _FFT_BINS = 1_500, 448, 80, 201
_PLAIN = {
    "encoder.conv1.bias",
    "encoder.conv2.bias",
    "encoder.positional_embedding",
    "decoder.positional_embedding",
}
_STRONG, _WEAK = 8.0, 6.0
_PART = 1_024
"""Positions of the encoder that are but a part of it to a model with `in_part`."""
LANGUAGES = ("en", "zh", "de", "es", "ru")
"""The first of whisper's languages, in its order."""


@dataclass(frozen=True)
class Shape:
    """How large a model is."""

    state: int = 64
    audio_layers: int = 1
    text_layers: int = 1
    multilingual: bool = False

    @property
    def heads(self) -> int:
        """Each is 64 wide."""
        return self.state // 64

    @property
    def vocabulary(self) -> int:
        """Tokens, the special ones too."""
        return 51_865 if self.multilingual else 51_864


FULL_SIZE = {"tiny.en": Shape(384, 4, 4), "base.en": Shape(512, 6, 6), "small.en": Shape(768, 12, 12)}
"""The shapes of real models."""


@dataclass(frozen=True)
class _Special:
    """Ids of the tokens that are not text."""

    end: int
    start: int
    no_speech: int
    time_zero: int

    @classmethod
    def of(cls, shape: Shape) -> _Special:
        shift = int(shape.multilingual)
        return cls(50_256 + shift, 50_257 + shift, 50_361 + shift, 50_363 + shift)

    def language(self, code: str) -> int:
        """The token of a language."""
        return self.start + 1 + LANGUAGES.index(code)


def random_model(path: Path, shape: Shape, *, seed: int = 0) -> Path:
    """A model that hears nonsense, at the cost of a real one of the same shape."""
    rng = np.random.default_rng(seed)

    def weights(name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        if _is_norm(name):
            return np.ones(shape, np.float32)
        return rng.standard_normal(shape, np.float32) * np.float32(0.05)

    return write_model(path, shape, weights)


def scripted_model(
    path: Path,
    said: str | Sequence[tuple[str, float]],
    *,
    shape: Shape | None = None,
    language: str = "de",
    language_in_part: str | None = None,
    hinted: Mapping[int, str] | None = None,
    in_part: str | None = None,
    no_speech: bool = False,
    endless: bool = False,
) -> Path:
    """A model that hears `said`, or several segments with the second at which each ends.

    `language`: what a multilingual one finds it to be. `hinted`: what it hears instead after a hint of so many bytes,
    none of them part of a word that it knows. `in_part`, `language_in_part`: what it hears instead, of as many words,
    while it does not see the whole 30 s. `no_speech`: it finds it likely that nobody speaks. `endless`: it says `said`
    again and again.
    """
    shape = shape or Shape()
    special = _Special.of(shape)
    segments = [(said, 2.0)] if isinstance(said, str) else list(said)
    everything = [*(text for text, _ in segments), *(hinted or {}).values(), in_part or ""]
    words = list(dict.fromkeys(word for text in everything for word in text.split()))
    rows = _Rows(shape, words, special)
    first = 2 if shape.multilingual else 0  # the language and the task come between start and text
    rows.lay(first, segments)
    if endless:
        rows.cycle(first, rows.ids(segments[0][0]))
    for hint_bytes, text in (hinted or {}).items():
        rows.lay(first + hint_bytes + 1, [(text, 2.0)])
    if no_speech:
        rows.point(first, special.no_speech, _STRONG + 1)
    if shape.multilingual:
        rows.point(0, special.language(language), _STRONG)
        rows.point(0, special.language("ru"), _STRONG - 1)
    if language_in_part:
        rows.shadow(0, [special.language(language_in_part)])
    if in_part:
        rows.shadow(first + 1, rows.ids(in_part))
    return write_model(path, shape, rows.weights, words)


def write_model(path: Path, shape: Shape, weights: Weights, words: Sequence[str] = ()) -> Path:
    """The file of a model; its text tokens are the single bytes, then `words`."""
    with path.open("wb") as file:
        audio = (_AUDIO_CONTEXT, shape.state, shape.heads, shape.audio_layers)
        text = (_TEXT_CONTEXT, shape.state, shape.heads, shape.text_layers)
        file.write(struct.pack("<I11i", _MAGIC, shape.vocabulary, *audio, *text, _MELS, 1))
        file.write(struct.pack("<2i", _MELS, _FFT_BINS))
        file.write(_mel_filters().tobytes())
        tokens = [bytes([value]) for value in range(256)] + [b" " + word.encode() for word in words]
        file.write(struct.pack("<i", len(tokens)))
        for token in tokens:
            file.write(struct.pack("<i", len(token)) + token)
        for name, dimensions in _tensors(shape):
            half = len(dimensions) > 1 and name not in _PLAIN
            values = weights(name, dimensions).astype(np.float16 if half else np.float32)
            _write_head(file, name, dimensions[::-1], int(half))
            file.write(values.tobytes())
    return path


def _write_head(file: BinaryIO, name: str, dimensions: tuple[int, ...], kind: int) -> None:
    """What comes before a tensor's values; the innermost dimension comes first."""
    encoded = name.encode()
    file.write(struct.pack("<3i", len(dimensions), len(encoded), kind))
    file.write(struct.pack(f"<{len(dimensions)}i", *dimensions) + encoded)


def vad_model(path: Path, *, speech: bool) -> Path:
    """A Silero model that finds speech everywhere, or nowhere: all that counts in it is the last bias."""
    header = (512, 64, 4, 129, 128, 3, 128, 64, 3, 64, 64, 3, 64, 128, 3, 128, 128, 128, 1)
    convolutions = [(3, 129, 128), (3, 128, 64), (3, 64, 64), (3, 64, 128)]
    tensors: list[tuple[str, tuple[int, ...], int]] = [("_model.stft.forward_basis_buffer", (256, 1, 258), 1)]
    for layer, shape in enumerate(convolutions):
        tensors.append((f"_model.encoder.{layer}.reparam_conv.weight", shape, 1))
        tensors.append((f"_model.encoder.{layer}.reparam_conv.bias", shape[2:], 0))
    tensors += [(f"_model.decoder.rnn.weight_{side}", (128, 512), 0) for side in ("ih", "hh")]
    tensors += [(f"_model.decoder.rnn.bias_{side}", (512,), 0) for side in ("ih", "hh")]
    tensors.append(("_model.decoder.decoder.2.weight", (128,), 1))
    with path.open("wb") as file:
        file.write(struct.pack("<Ii", _MAGIC, 10) + b"silero-16k" + struct.pack("<3i", 6, 2, 0))
        file.write(struct.pack(f"<{len(header)}i", *header))
        for name, dimensions, half in tensors:
            _write_head(file, name, dimensions, half)
            file.write(bytes(int(np.prod(dimensions)) * (2 if half else 4)))
        _write_head(file, "_model.decoder.decoder.2.bias", (), 0)
        file.write(struct.pack("<f", 20.0 if speech else -20.0))
    return path


class _Rows:
    """The embeddings of a script: a direction a token, and where each position points."""

    def __init__(self, shape: Shape, words: Sequence[str], special: _Special) -> None:
        self._special = special
        self._ids = {word: 256 + number for number, word in enumerate(words)}
        self._directions: dict[int, int] = {}
        self._tokens = np.zeros((shape.vocabulary, shape.state), np.float32)
        self._positions = np.zeros((_TEXT_CONTEXT, shape.state), np.float32)
        self._shadowed: list[int] = []

    def ids(self, text: str) -> list[int]:
        """The tokens of its words."""
        return [self._ids[word] for word in text.split()]

    def lay(self, position: int, segments: Sequence[tuple[str, float]]) -> None:
        """The segments from `position` on, then the end for ever."""
        start_s = 0.0
        for text, end_s in segments:
            if ids := self.ids(text):
                for token in (self._time(start_s), *ids, self._time(end_s)):
                    position = self._only(position, token)
                start_s = end_s
        while position < _TEXT_CONTEXT:
            position = self._only(position, self._special.end)

    def cycle(self, position: int, tokens: Sequence[int]) -> None:
        """The tokens from `position` on, again and again."""
        for number in range(_TEXT_CONTEXT - position):
            self._only(position + number, tokens[number % len(tokens)])

    def point(self, position: int, token: int, strength: float) -> None:
        """Makes `token` likely at `position`, beside what is likely there already."""
        self._positions[position, self._direction(token)] += strength

    def shadow(self, position: int, tokens: Sequence[int]) -> None:
        """Hides what is said from `position` on behind `tokens`, until the decoder sees the whole clip."""
        for number, token in enumerate(tokens, start=position):
            self._positions[number] *= _WEAK / _STRONG
            self.point(number, token, _STRONG)
            self._shadowed.append(self._direction(token))

    def weights(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Every tensor of the model."""
        if name == "decoder.token_embedding.weight":
            return self._tokens
        if name == "decoder.positional_embedding":
            return self._positions
        if name == "decoder.ln.weight":
            return np.full(shape, 4.0, np.float32)
        if _is_norm(name):
            return np.ones(shape, np.float32)
        values = np.zeros(shape, np.float32)
        if self._shadowed:
            self._cast_shadow(name, values)
        return values

    def _cast_shadow(self, name: str, values: npt.NDArray[np.float32]) -> None:
        """The mean of what the encoder says of its positions tells the decoder how far it sees."""
        if name == "encoder.positional_embedding":
            values[:_PART, 0] = values[_PART:, 1] = 1
            values[:_PART, 1] = values[_PART:, 0] = -1
        elif name.endswith("cross_attn.value.weight"):
            values[0, 0] = 1
        elif name.endswith("cross_attn.out.weight"):
            values[self._shadowed, 0] = _STRONG
        elif name.endswith("cross_attn.out.bias"):
            values[self._shadowed] = -_STRONG * np.sqrt(len(values) / 2)  # what a 1 is after the encoder's norm

    def _only(self, position: int, token: int) -> int:
        self._positions[position] = 0
        self.point(position, token, _STRONG)
        return position + 1

    def _time(self, seconds: float) -> int:
        return self._special.time_zero + round(seconds / 0.02)

    def _direction(self, token: int) -> int:
        direction = self._directions.setdefault(token, len(self._directions))
        self._tokens[token, direction] = 1  # past the state's width: too many distinct tokens for the shape
        return direction


def _is_norm(name: str) -> bool:
    return name.endswith(("ln.weight", "ln_post.weight"))


def _tensors(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor with its dimensions."""
    n = shape.state
    yield "encoder.positional_embedding", (_AUDIO_CONTEXT, n)
    yield "encoder.conv1.weight", (n, _MELS, 3)
    yield "encoder.conv1.bias", (n, 1)
    yield "encoder.conv2.weight", (n, n, 3)
    yield "encoder.conv2.bias", (n, 1)
    for layer in range(shape.audio_layers):
        yield from _block(f"encoder.blocks.{layer}", n, ("attn",))
    yield from _norm("encoder.ln_post", n)
    yield "decoder.positional_embedding", (_TEXT_CONTEXT, n)
    yield "decoder.token_embedding.weight", (shape.vocabulary, n)
    for layer in range(shape.text_layers):
        yield from _block(f"decoder.blocks.{layer}", n, ("attn", "cross_attn"))
    yield from _norm("decoder.ln", n)


def _block(prefix: str, n: int, attentions: Sequence[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for attention in attentions:
        for part in ("query", "key", "value", "out"):
            yield f"{prefix}.{attention}.{part}.weight", (n, n)
            if part != "key":
                yield f"{prefix}.{attention}.{part}.bias", (n,)
        yield from _norm(f"{prefix}.{attention}_ln", n)
    yield f"{prefix}.mlp.0.weight", (4 * n, n)
    yield f"{prefix}.mlp.0.bias", (4 * n,)
    yield f"{prefix}.mlp.2.weight", (n, 4 * n)
    yield f"{prefix}.mlp.2.bias", (n,)
    yield from _norm(f"{prefix}.mlp_ln", n)


def _norm(name: str, n: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (n,)
    yield f"{name}.bias", (n,)


def _mel_filters() -> npt.NDArray[np.float32]:
    """Triangles over the FFT's bins, a row a mel band: linear up to 1 kHz, logarithmic above, of equal area."""
    step = np.log(6.4) / 27
    knee_hz, knee_mel = 1_000.0, 15.0
    top_mel = knee_mel + np.log(8_000 / knee_hz) / step
    mels = np.linspace(0, top_mel, _MELS + 2)
    edges_hz = np.where(mels < knee_mel, mels * knee_hz / knee_mel, knee_hz * np.exp((mels - knee_mel) * step))
    bins_hz = np.linspace(0, 8_000, _FFT_BINS)
    low, middle, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising, falling = (bins_hz - low) / (middle - low), (high - bins_hz) / (high - middle)
    filters: npt.NDArray[np.float32] = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    return filters.astype(np.float32)
