"""Finds the ggml file of a whisper model, and looks whether it is whole."""

from __future__ import annotations

from pathlib import Path

from agent.model_files.fault import ModelFault
from agent.model_files.ggml import WhisperModel, check_whisper


def find_whisper(model: str, models_dir: Path) -> tuple[Path, WhisperModel]:
    """The file of `model`, a name or a path, and what is in it. ModelFault: it is nowhere, or no whole model."""
    places = _places(model, models_dir)
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        tried = ", ".join(map(str, places))
        help_ = "" if _is_path(model) else f"; `edgevoice models pull whisper-{whisper_name(model)}` fetches it"
        raise ModelFault(f"no model at {tried}{help_}")
    return found, check_whisper(found)


def whisper_name(model: str) -> str:
    """The model as whisper calls it, such as `base.en`."""
    name = Path(model).stem if _is_path(model) else model
    return name.removeprefix("whisper-").removeprefix("ggml-")


def _is_path(model: str) -> bool:
    return "/" in model or model.endswith(".bin")


def _places(model: str, models_dir: Path) -> list[Path]:
    """Where the model may be, the likeliest first."""
    if _is_path(model):
        return [Path(model).expanduser()]
    name = whisper_name(model)
    file = f"ggml-{name}.bin"
    return [models_dir / f"whisper-{name}" / file, models_dir / name / file, models_dir / file]
