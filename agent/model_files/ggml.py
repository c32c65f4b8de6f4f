"""Looks whether a ggml file is a whole model, without loading it: whisper.cpp crashes, or worse, on one that is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.model_files.ggml_walk import F16, F32, Tensor, Walk

_HEADER = (
    "n_vocab", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer",
    "n_text_ctx", "n_text_state", "n_text_head", "n_text_layer", "n_mels", "ftype",
)  # fmt: skip
_ENGLISH_VOCABULARY = 51_864
_LANGUAGES_BESIDE = 98
_HEAD_WIDTH = 64
_FFT_BINS = 201
_WEIGHT_TYPES = {
    0: F32, 1: F16, 2002: 2, 2003: 3, 2007: 8, 2008: 6, 2009: 7, 2010: 10, 2011: 11, 2012: 12, 2013: 13, 2014: 14,
}  # fmt: skip
"""A file's ftype → the type of its large tensors; quantised ones in the second format, which is all that loads."""

_VAD_HEADER = (512, 64, 4, 129, 128, 3, 128, 64, 3, 64, 64, 3, 64, 128, 3, 128, 128, 128, 1)
_VAD_CONVOLUTIONS = {0: (3, 129, 128), 1: (3, 128, 64), 2: (3, 64, 64), 3: (3, 64, 128)}
_VAD_TENSORS: dict[str, Tensor] = {
    "_model.stft.forward_basis_buffer": ((256, 1, 258), F16),
    **{f"_model.encoder.{i}.reparam_conv.weight": (shape, F16) for i, shape in _VAD_CONVOLUTIONS.items()},
    **{f"_model.encoder.{i}.reparam_conv.bias": (shape[2:], F32) for i, shape in _VAD_CONVOLUTIONS.items()},
    **{f"_model.decoder.rnn.weight_{side}": ((128, 512), F32) for side in ("ih", "hh")},
    **{f"_model.decoder.rnn.bias_{side}": ((512,), F32) for side in ("ih", "hh")},
    "_model.decoder.decoder.2.weight": ((128,), F16),
    "_model.decoder.decoder.2.bias": ((), F32),
}


@dataclass(frozen=True)
class WhisperModel:
    """What a whole model file holds."""

    language_count: int
    """Languages it hears, the first so many of whisper's own order; 1 is English only."""


def check_whisper(path: Path) -> WhisperModel:
    """The whisper model in `path`; ModelFault where the file is missing, cut, foreign or absurd. Reads no weights."""
    with Walk(path, "a whisper model") as walk:
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
    """ModelFault where `path` is not a whole Silero model that tells speech from other sounds."""
    with Walk(path, "a Silero VAD model") as walk:
        walk.expect_magic()
        (length,) = walk.integers(1)
        kind = walk.text(length)
        walk.integers(3)  # its version
        if kind != "silero-16k" or walk.integers(len(_VAD_HEADER)) != _VAD_HEADER:
            raise walk.refusal("its header is another model's")
        _check_tensors(walk, dict(_VAD_TENSORS))


def _check_header(walk: Walk, header: dict[str, int]) -> None:
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


def _check_vocabulary(walk: Walk, n_vocab: int) -> None:
    (count,) = walk.integers(1)
    if not 1 <= count <= n_vocab:
        raise walk.refusal(f"it has {count} tokens")
    if b"\1\0\0\0 " not in walk.vocabulary(count):  # the library looks it up without asking
        raise walk.refusal("its tokens lack the blank")


def _check_tensors(walk: Walk, expected: dict[str, Tensor]) -> None:
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


def _tensors(header: dict[str, int]) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that a model of this header has."""
    width, weight = header["n_audio_state"], _WEIGHT_TYPES[header["ftype"]]
    filters = F32 if weight == F32 else F16
    yield "encoder.positional_embedding", ((width, header["n_audio_ctx"]), F32)
    yield "encoder.conv1.weight", ((3, header["n_mels"], width), filters)
    yield "encoder.conv2.weight", ((3, width, width), filters)
    for conv in ("conv1", "conv2"):
        yield f"encoder.{conv}.bias", ((1, width), F32)
    yield "decoder.positional_embedding", ((width, header["n_text_ctx"]), F32)
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
        yield f"{norm}.weight", ((width,), F32)
        yield f"{norm}.bias", ((width,), F32)


def _linear(name: str, width: int, outputs: int, weight: int) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.weight", ((width, outputs), weight)
    yield f"{name}.bias", ((outputs,), F32)
