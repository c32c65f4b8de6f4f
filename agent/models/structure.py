"""Whether a folder holds a model that its engine can load, by the look of its files; loads none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from agent.model_files.coqui import voice_in
from agent.model_files.fault import ModelFault
from agent.model_files.ggml import check_whisper
from agent.model_files.gguf import is_gguf
from agent.model_files.mlc import DEVICES, ModelFiles
from agent.model_files.mlc_config import ChatConfig


def faults(engine: str, folder: Path) -> Iterator[str]:
    """What would keep `engine` from loading what is in `folder`; nothing of an engine not known here."""
    look = _LOOKS.get(engine)
    if look is None:
        return
    try:
        yield from look(folder)
    except ModelFault as exc:
        yield str(exc)
    except OSError as exc:
        yield f"cannot read {exc.filename or folder}: {exc.strerror}"


def _gguf(folder: Path) -> Iterator[str]:
    path = folder / "model.gguf"
    if not is_gguf(path):
        yield f"{path} is not a GGUF model"


def _whisper(folder: Path) -> Iterator[str]:
    paths = sorted(folder.glob("ggml-*.bin"))
    if not paths:
        yield f"no ggml-*.bin in {folder}"
    for path in paths:
        check_whisper(path)


def _coqui(folder: Path) -> Iterable[str]:
    voice_in(folder)
    return ()


def _mlc(folder: Path) -> Iterator[str]:
    yield from ModelFiles(folder, ChatConfig.of(folder), DEVICES[0]).faults()


_LOOKS: dict[str, Callable[[Path], Iterable[str]]] = {
    "llamacpp": _gguf,
    "whispercpp": _whisper,
    "coqui": _coqui,
    "mlc": _mlc,
}
