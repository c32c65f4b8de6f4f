"""Where an MLC model lies, and whether it is whole: found and judged without MLC.

A model is a folder (mlc-chat-config.json, the weights and their list, the tokenizer) and a library that was compiled
from it, for one kind of device and processor.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path

from agent.model_files.elf import elf_fault
from agent.model_files.fault import ModelFault
from agent.model_files.mlc_config import CONFIG, ChatConfig, Limits

DEVICES = ("cuda", "metal", "vulkan", "rocm", "opencl", "cpu")
"""What a library can be compiled for."""
WEIGHT_LISTS = ("tensor-cache.json", "ndarray-cache.json")
"""What the list of the weights is called; the second is the name before September 2025."""

_HUGGING_FACE = "HF://"
_SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")


@dataclass(frozen=True)
class ModelFiles:
    """A model as it lies on disk."""

    folder: Path
    config: ChatConfig
    device: str
    """What it is to run on, one of DEVICES."""
    library: Path | None = None
    """None where MLC is to compile it."""

    @property
    def name(self) -> str:
        """Name and quantisation, as people know the model."""
        name, quantization = _bare_name(self.folder), self.config.quantization
        return name if quantization in name else f"{name}-{quantization}"

    @property
    def limits(self) -> Limits:
        """What it was compiled for. ModelFault where the library cannot be read."""
        try:
            return Limits.of(self.config, self.library)
        except (OSError, ValueError) as exc:
            raise ModelFault(f"cannot read {self.library}: {exc}") from exc

    @property
    def compile_command(self) -> str:
        """What makes the library, typed on the machine that it is for."""
        made = self.folder / f"{_bare_name(self.folder)}-{self.device}{_SUFFIX}"
        return shlex.join(["mlc_llm", "compile", str(self.folder), "--device", self.device, "-o", str(made)])

    @property
    def weights(self) -> list[tuple[Path, int]]:
        """The files of the weights, each with the size it should have. ModelFault where their list cannot be read."""
        listing = next((path for name in WEIGHT_LISTS if (path := self.folder / name).is_file()), None)
        if listing is None:
            raise ModelFault(f"no {' or '.join(WEIGHT_LISTS)} in {self.folder}; fetch the model again")
        try:
            records = json.loads(listing.read_bytes())["records"]
            return [(self.folder / record["dataPath"], int(record["nbytes"])) for record in records]
        except (OSError, ValueError, LookupError, TypeError) as exc:
            raise ModelFault(f"cannot read {listing}: {type(exc).__name__}: {exc}") from exc

    def faults(self) -> Iterator[str]:
        """Everything that would keep it from being loaded, each with what would help."""
        if not self.config.architecture:
            yield f"{self.folder / CONFIG} is of an MLC from before 2024; convert the model again"
        try:
            yield from (fault for path, size in self.weights if (fault := _shard_fault(path, size)))
        except ModelFault as exc:
            yield str(exc)
        named = [self.folder / name for name in self.config.tokenizer_files]
        yield from (f"no file {path}; fetch the model again" for path in named if not path.is_file())
        if not named and not any((self.folder / name).is_file() for name in _TOKENIZERS):
            yield f"no tokenizer in {self.folder}: none of {', '.join(_TOKENIZERS)}"
        if self.library and (fault := _library_fault(self.library)):
            yield f"{fault}; `{self.compile_command}` makes one that fits"


def find_model(model: str, model_lib: str | None, models_dir: Path, *, device: str, jit: bool = False) -> ModelFiles:
    """The files of `model`: a name, a path, or `HF://user/repository`. ModelFault lists every path tried.

    `model_lib` is the path of the library; left out, it is looked for. With `jit` it need not be there.
    """
    places = list(dict.fromkeys(_folders(model, models_dir)))
    folder = next((place for place in places if (place / CONFIG).is_file()), None)
    if folder is None:
        raise ModelFault(
            f"no {CONFIG} of {model!r}; tried {_listed(places)}; `edgevoice models pull {model}` fetches the model"
        )
    files = ModelFiles(folder, ChatConfig.of(folder), device)
    if model_lib:
        return replace(files, library=_named_library(files, model_lib, models_dir))
    return replace(files, library=_library_beside(files, jit=jit))


def _named_library(files: ModelFiles, model_lib: str, models_dir: Path) -> Path:
    path = Path(model_lib).expanduser()
    tried = list(dict.fromkeys((Path.cwd() / path, models_dir / path)))
    if library := next((path for path in tried if path.is_file()), None):
        return library
    raise _no_library(files, tried)


def _library_beside(files: ModelFiles, *, jit: bool) -> Path | None:
    patterns = _library_patterns(files.folder)
    found = [path for pattern in patterns for path in sorted(pattern.parent.glob(pattern.name))]
    if fitting := [path for path in found if _device_of(path) in {None, files.device}]:
        return min(fitting, key=lambda path: _device_of(path) != files.device)
    if jit:
        return None
    raise _no_library(files, patterns, f" (for another device: {_listed(found)})" if found else "")


def _no_library(files: ModelFiles, tried: list[Path], others: str = "") -> ModelFault:
    return ModelFault(
        f"no library of {files.name} for {files.device}; tried {_listed(tried)}{others};"
        f" `{files.compile_command}` makes it"
    )


def _folders(model: str, models_dir: Path) -> Iterator[Path]:
    if model.startswith(_HUGGING_FACE):
        repository = model.removeprefix(_HUGGING_FACE).strip("/")
        yield from (cache / "hf" / repository for cache in _caches())
        yield models_dir / repository
        yield models_dir / Path(repository).name
        return
    path = Path(model).expanduser()
    path = path.parent if path.name == CONFIG else path
    for base in (models_dir, Path.cwd()):
        yield base / path  # an absolute path stays what it is
        yield base / path / "params"
        if not path.is_absolute():
            yield base / "dist" / "prebuilt" / f"mlc-chat-{path}"
            yield base / "dist" / path / "params"
            yield base / "dist" / path


def _caches() -> Iterator[Path]:
    """Where MLC itself keeps what it fetched."""
    shared = os.environ.get("MLC_LLM_READONLY_WEIGHT_CACHE", "").split(os.pathsep)
    yield from (Path(base) for base in shared if base)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    yield Path(os.environ.get("MLC_LLM_HOME") or cache / "mlc_llm") / "model_weights"


def _library_patterns(folder: Path) -> list[Path]:
    """Beside the weights, or where older MLCs put it."""
    patterns = [folder / f"*{_SUFFIX}", folder / "lib" / f"*{_SUFFIX}"]
    named = f"{escape(_bare_name(folder))}-*{_SUFFIX}"
    if folder.name == "params":
        patterns.append(folder.parent / named)
    if folder.parent.name == "prebuilt":
        patterns.append(folder.parent / "lib" / named)
    return patterns


def _listed(paths: list[Path]) -> str:
    return ", ".join(map(str, paths))


def _bare_name(folder: Path) -> str:
    name = folder.parent.name if folder.name == "params" else folder.name
    return name.removeprefix("mlc-chat-")


def _device_of(library: Path) -> str | None:
    """The device in a library's name; None where it names none."""
    last = library.stem.rpartition("-")[2]
    return last if last in DEVICES else None


def _shard_fault(path: Path, size: int) -> str | None:
    if not path.is_file():
        return f"no file {path}; fetch the model again"
    there = path.stat().st_size
    return None if there == size else f"{path} has {there} bytes instead of {size}; fetch the model again"


def _library_fault(library: Path) -> str | None:
    try:
        return elf_fault(library) if sys.platform == "linux" else None
    except OSError as exc:
        return f"cannot read {library}: {exc.strerror}"
