"""Whether a folder holds a model that its engine can load, by the look of its files; loads none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.errors import EngineError

_GGUF = b"GGUF"


def faults(engine: str, folder: Path) -> Iterator[str]:
    """What would keep `engine` from loading what is in `folder`; nothing of an engine not known here."""
    look = _LOOKS.get(engine)
    if look is None:
        return
    try:
        yield from look(folder)
    except EngineError as exc:
        yield exc.message
    except OSError as exc:
        yield f"cannot read {exc.filename or folder}: {exc.strerror}"


def _gguf(folder: Path) -> Iterator[str]:
    path = folder / "model.gguf"
    with path.open("rb") as file:
        if file.read(len(_GGUF)) != _GGUF:
            yield f"{path} is not a GGUF model"


def _whisper(folder: Path) -> Iterator[str]:
    from agent.model_files.ggml import GgmlError, check_whisper  # noqa: PLC0415 - not needed by other models

    paths = sorted(folder.glob("ggml-*.bin"))
    if not paths:
        yield f"no ggml-*.bin in {folder}"
    for path in paths:
        try:
            check_whisper(path)
        except GgmlError as exc:
            yield str(exc)


def _coqui(folder: Path) -> Iterator[str]:
    config = folder / "config.json"
    try:
        json.loads(config.read_bytes())
    except ValueError as exc:
        yield f"{config} is not JSON: {exc}"
    if len(weights := list(folder.glob("*.pth"))) != 1:
        yield f"{len(weights)} files *.pth in {folder} instead of one"


def _mlc(folder: Path) -> Iterator[str]:
    from agent.model_files.mlc import DEVICES, ModelFiles  # noqa: PLC0415 - not needed by other models
    from agent.model_files.mlc_config import ChatConfig  # noqa: PLC0415 - not needed by other models

    yield from ModelFiles(folder, ChatConfig.of(folder), DEVICES[0]).faults()


_LOOKS: dict[str, Callable[[Path], Iterator[str]]] = {
    "llamacpp": _gguf,
    "whispercpp": _whisper,
    "coqui": _coqui,
    "mlc": _mlc,
}
