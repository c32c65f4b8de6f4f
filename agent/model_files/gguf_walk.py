"""Reads what stands before the weights of a GGUF file: others take its counts as they are, and never come to an end."""

from __future__ import annotations

import struct
from pathlib import Path

from agent.model_files.ggml_walk import Walk

_MAGIC_BYTES = 4
_VERSIONS = (2, 3)
_TEXT, _LIST = 8, 9
_SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Kind of a value → its size; texts and lists say theirs."""
_MOST_DIMENSIONS = 4
_TYPE_AND_OFFSET_BYTES = 12


def check_header(path: Path) -> None:
    """ModelFault where metadata or the list of tensors is damaged, or holds lists of lists."""
    with Walk(path, "a GGUF model that can be read") as file:
        file.skip(_MAGIC_BYTES)
        version = _number(file, "I")
        if version not in _VERSIONS:
            raise file.refusal(f"its version is {version}, or it was written for machines of the other byte order")
        tensors, values = _number(file, "Q"), _number(file, "Q")
        for _ in range(values):
            _skip_text(file)
            _skip_value(file, _number(file, "I"))
        for _ in range(tensors):
            _skip_text(file)
            dimensions = _number(file, "I")
            if dimensions > _MOST_DIMENSIONS:
                raise file.refusal(f"a tensor of it has {dimensions} dimensions")
            file.skip(8 * dimensions + _TYPE_AND_OFFSET_BYTES)


def _skip_value(file: Walk, kind: int) -> None:
    if kind == _TEXT:
        _skip_text(file)
    elif kind == _LIST:
        _skip_list(file)
    elif kind in _SCALAR_BYTES:
        file.skip(_SCALAR_BYTES[kind])
    else:
        raise file.refusal(f"a value of it is of kind {kind}")


def _skip_list(file: Walk) -> None:
    kind, count = _number(file, "I"), _number(file, "Q")
    if kind == _TEXT:
        for _ in range(count):
            _skip_text(file)
    elif kind in _SCALAR_BYTES:
        file.skip(count * _SCALAR_BYTES[kind])
    else:
        raise file.refusal("it has a list of lists" if kind == _LIST else f"a list of it is of kind {kind}")


def _skip_text(file: Walk) -> None:
    file.skip(_number(file, "Q"))


def _number(file: Walk, code: str) -> int:
    number: int
    (number,) = struct.unpack(f"<{code}", file.read(struct.calcsize(f"<{code}")))
    return number
