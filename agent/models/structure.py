"""Whether a folder holds a model that its engine can load, by the look of its files; loads none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from agent.errors import EngineError
from agent.model_files.coqui import VoiceFaultError, voice_in
from agent.model_files.ggml import GgmlError, check_whisper
from agent.model_files.mlc import DEVICES, ModelFiles
from agent.model_files.mlc_config import ChatConfig

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
    paths = sorted(folder.glob("ggml-*.bin"))
    if not paths:
        yield f"no ggml-*.bin in {folder}"
    for path in paths:
        try:
            check_whisper(path)
        except GgmlError as exc:
            yield str(exc)


def _coqui(folder: Path) -> Iterator[str]:
    try:
        voice_in(folder)
    except VoiceFaultError as exc:
        yield str(exc)


def _mlc(folder: Path) -> Iterator[str]:
    yield from ModelFiles(folder, ChatConfig.of(folder), DEVICES[0]).faults()


_LOOKS: dict[str, Callable[[Path], Iterator[str]]] = {
    "llamacpp": _gguf,
    "whispercpp": _whisper,
    "coqui": _coqui,
    "mlc": _mlc,
}
