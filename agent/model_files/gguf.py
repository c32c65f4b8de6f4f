"""Finds a GGUF model, and tells it from other files: llama.cpp may crash on those instead of complaining."""

from __future__ import annotations

from pathlib import Path

from agent.model_files.fault import ModelFault

_MAGIC = b"GGUF"
_SMALLEST_BYTES = 4_096
_SUFFIX = ".gguf"


def find_gguf(model: str, models_dir: Path) -> Path:
    """The file of `model`: a name in the models folder, or a path of a .gguf file. ModelFault where it is not there."""
    if model.endswith(_SUFFIX):
        path = Path(model)
        fault = f"no file {path}"
    else:
        path = models_dir / model / "model.gguf"
        fault = f"no model at {path}; `edgevoice models pull {model}` fetches it"
    if not path.is_file():
        raise ModelFault(fault)
    return path


def is_gguf(path: Path) -> bool:
    """Whether `path` looks like a GGUF model. OSError where it cannot be read."""
    with path.open("rb") as file:
        magic = file.read(len(_MAGIC))
    return magic == _MAGIC and path.stat().st_size >= _SMALLEST_BYTES


def check_gguf(path: Path) -> None:
    """ModelFault where `path` is not a GGUF model."""
    try:
        if not is_gguf(path):
            raise ModelFault(f"{path} is not a GGUF model; fetch it again")
    except OSError as exc:
        raise ModelFault(f"cannot read {path}: {exc.strerror}") from exc
