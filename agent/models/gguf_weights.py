"""A GGUF file written anew, its weights in another type and everything else as it was."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import (
    GGML_QUANT_SIZES,
    GGML_QUANT_VERSION,
    GGMLQuantizationType,
    GGUFReader,
    GGUFValueType,
    GGUFWriter,
    Keys,
    LlamaFileType,
    ReaderField,
    ReaderTensor,
    dequantize,
    quant_shape_to_byte_shape,
    quantize,
)

from agent.model_files.fault import ModelFault
from agent.model_files.gguf_walk import check_header
from agent.models.catalogue import WeightType
from agent.models.errors import PullError
from agent.models.progress import Tracker

_Kind = GGMLQuantizationType
_KINDS: dict[WeightType, tuple[GGMLQuantizationType, LlamaFileType]] = {
    "q8_0": (_Kind.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "f16": (_Kind.F16, LlamaFileType.MOSTLY_F16),
    "q4_0": (_Kind.Q4_0, LlamaFileType.MOSTLY_Q4_0),
}
_EXACT = {_Kind.F32, _Kind.F64, _Kind.I8, _Kind.I16, _Kind.I32, _Kind.I64}
_WORDS = {"token_embd.weight", "output.weight"}
_DTYPES: dict[GGMLQuantizationType, npt.DTypeLike] = {_Kind.F32: np.float32, _Kind.F16: np.float16}
_COUNTS = "GGUF."  # how the reader calls what is no metadata
_REWRITTEN = {Keys.General.ARCHITECTURE, Keys.General.FILE_TYPE, Keys.General.QUANTIZATION_VERSION}
_PIECE_WEIGHTS = 1 << 22
_WIDEST_ALIGNMENT = 1 << 16  # the gaps are written from memory


class GgufWeights:
    """What the file at `path` would be with its weights as `wanted`. PullError where it cannot be that."""

    def __init__(self, path: Path, wanted: WeightType) -> None:
        self._path = path
        self._wanted, self._file_type = _KINDS[wanted]
        try:
            check_header(path)
            with np.errstate(all="ignore"):  # numbers out of a damaged file
                self._reader = GGUFReader(path)
            architecture = self._reader.get_field(Keys.General.ARCHITECTURE)
            self._architecture = str(architecture.contents()) if architecture else ""
        except ModelFault as exc:
            raise PullError(str(exc)) from exc
        except (ValueError, LookupError, OverflowError, MemoryError) as exc:
            raise PullError(f"{path} is cut off, or damaged, or too new: {exc}") from exc
        self._metadata = {name: field for name, field in self._reader.fields.items() if not name.startswith(_COUNTS)}
        self._kinds = {tensor.name: _kind_for(tensor, self._wanted) for tensor in self._reader.tensors}
        self._check()

    @property
    def size_bytes(self) -> int:
        """How large the weights will be [bytes]."""
        return sum(prod(shape) * dtype.itemsize for shape, dtype in map(self._layout, self._reader.tensors))

    def write(self, path: Path, tracker: Tracker) -> None:
        """Writes the new file, a tensor in memory at a time."""
        writer = GGUFWriter(path, self._architecture)
        writer.data_alignment = int(self._reader.alignment)
        self._add_metadata(writer)
        for tensor in self._reader.tensors:
            shape, dtype = self._layout(tensor)
            writer.add_tensor_info(
                tensor.name, shape, dtype, prod(shape) * dtype.itemsize, raw_dtype=self._kinds[tensor.name]
            )
        try:
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for tensor in self._reader.tensors:
                writer.write_tensor_data(self._rewritten(tensor, tracker))
        finally:
            writer.close()

    def _check(self) -> None:
        if not self._architecture:
            raise PullError(f"{self._path} does not say of what architecture it is")
        if self._reader.alignment > _WIDEST_ALIGNMENT:
            raise PullError(f"{self._path} is damaged: its tensors would lie {self._reader.alignment} bytes apart")
        if empty := next((tensor.name for tensor in self._reader.tensors if not tensor.n_elements), None):
            raise PullError(f"{self._path} is damaged: {empty} holds nothing")
        if Keys.Split.LLM_KV_SPLIT_COUNT in self._metadata:
            raise PullError(f"{self._path} is one part of a model; llama.cpp's `llama-gguf-split --merge` joins them")
        if all(tensor.tensor_type == self._kinds[tensor.name] for tensor in self._reader.tensors):
            kinds = sorted({tensor.tensor_type.name for tensor in self._reader.tensors})
            raise PullError(f"nothing in {self._path} would change: it holds {', '.join(kinds)} already")

    def _layout(self, tensor: ReaderTensor) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
        """Shape and type of the array that the tensor becomes."""
        kind = self._kinds[tensor.name]
        if kind == tensor.tensor_type:
            return tensor.data.shape, tensor.data.dtype
        shape = tuple(int(size) for size in reversed(tensor.shape.tolist()))
        if kind in _DTYPES:
            return shape, np.dtype(_DTYPES[kind])
        return quant_shape_to_byte_shape(shape, kind), np.dtype(np.uint8)

    def _add_metadata(self, writer: GGUFWriter) -> None:
        for name, field in self._metadata.items():
            if name not in _REWRITTEN and field.types != [GGUFValueType.ARRAY]:  # a list of nothing says nothing
                writer.add_key_value(name, _value(field), field.types[0], sub_type=field.types[-1])
        writer.add_file_type(self._file_type)
        writer.add_quantization_version(GGML_QUANT_VERSION)

    def _rewritten(self, tensor: ReaderTensor, tracker: Tracker) -> npt.NDArray[np.generic]:
        kind = self._kinds[tensor.name]
        if kind == tensor.tensor_type:
            tracker.advance(tensor.n_bytes)
            return tensor.data
        shape, dtype = self._layout(tensor)
        made = np.empty(shape, dtype)
        rows, made_rows = (array.reshape(-1, array.shape[-1]) for array in (tensor.data, made))
        for piece in _pieces(rows.shape[0], int(tensor.shape[0])):
            made_rows[piece] = self._converted(rows[piece], tensor)
            tracker.advance(made_rows[piece].nbytes)
        return made

    def _converted(self, rows: npt.NDArray[np.generic], tensor: ReaderTensor) -> npt.NDArray[np.generic]:
        kind = self._kinds[tensor.name]
        try:
            # In blocks, what is next to nothing becomes nothing, by way of infinity.
            with np.errstate(all="ignore", over="raise" if kind is _Kind.F16 else "ignore"):
                return quantize(dequantize(rows, tensor.tensor_type), kind)
        except FloatingPointError as exc:
            raise PullError(f"{tensor.name} in {self._path} has numbers too large for f16; take q8_0") from exc
        except NotImplementedError as exc:
            raise PullError(f"{self._path} holds {tensor.tensor_type.name}, which nobody here can read") from exc


def _kind_for(tensor: ReaderTensor, wanted: GGMLQuantizationType) -> GGMLQuantizationType:
    """What `tensor` becomes: what its maker left exact, such as norms and routers of experts, stays so."""
    if tensor.tensor_type in _EXACT:
        return tensor.tensor_type
    if len(tensor.shape) == 1:
        return _Kind.F32
    if tensor.shape[0] % GGML_QUANT_SIZES[wanted][0]:
        return _Kind.F16
    if tensor.name in _WORDS and wanted is _Kind.Q4_0:
        return _Kind.Q8_0  # as llama.cpp does, which has no less than six bits for them
    return wanted


def _value(field: ReaderField) -> object:
    """As the writer takes it; text stays the bytes it is, which need not be UTF-8."""
    if field.types[-1] != GGUFValueType.STRING:
        return field.contents()
    texts = [field.parts[index].tobytes() for index in field.data]
    return texts if field.types[0] == GGUFValueType.ARRAY else texts[0]


def _pieces(rows: int, row_weights: int) -> Iterator[slice]:
    """Rows to be converted at a time: in between one is told how far it is."""
    step = max(1, _PIECE_WEIGHTS // row_weights)
    return (slice(start, start + step) for start in range(0, rows, step))
