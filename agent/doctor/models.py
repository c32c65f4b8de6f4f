"""The models: whether those that the settings and their profile ask for are here, and whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.doctor.finding import Finding, bad, command_in, fail, ok
from agent.doctor.site import Site
from agent.doctor.wanted import wanted
from agent.engines.mlc_options import MlcOptions
from agent.engines.settings import EngineSettings
from agent.model_files.fault import ModelFault
from agent.model_files.ggml import check_vad
from agent.model_files.gguf import check_gguf, find_gguf
from agent.model_files.mlc import find_model
from agent.model_files.whisper import find_whisper
from agent.models.catalogue import CataloguedModel
from agent.models.known import known
from agent.models.verify import Presence, faults, presence

_WHOLE = "by names and sizes; `edgevoice models verify` reads its checksums, too"
_LIST = "edgevoice models list"


def check(site: Site) -> Iterator[Finding]:
    """A line for each model that is asked for, and for each other one that is broken."""
    models, models_dir = known(site.settings.home), site.settings.models_dir
    asked = wanted(site)
    for model in models.values():
        yield from _catalogued(model, models_dir, asked=model.name in asked)
    for setting, engine in site.stages.items():
        named = models.get(str(engine.options.get("model")))
        if named is None or presence(named, models_dir) is Presence.HERE:  # else all was said above
            yield from _files(setting, engine, models_dir)


def _catalogued(model: CataloguedModel, models_dir: Path, *, asked: bool) -> Iterator[Finding]:
    name, pull = model.name, f"edgevoice models pull {model.name}"
    match presence(model, models_dir):
        case Presence.HERE:
            yield ok("model", f"{name} is whole, {_WHOLE}")
        case Presence.BROKEN:
            message = f"{name}: {'; '.join(faults(model, models_dir, read=False))}"
            yield bad("model", message, f"edgevoice models pull --verify {name}", asked=asked)
        case Presence.BEGUN if asked:
            yield fail("model", f"{name}: its download into {models_dir} was interrupted", pull)
        case Presence.ABSENT if asked:
            yield fail("model", f"{name} is not in {models_dir}", pull)


def _mlc(options: Mapping[str, Any], models_dir: Path) -> tuple[str, list[str]]:
    """The folder and the library, whose processor must be this machine's."""
    checked = MlcOptions.model_validate(options)
    device, _ = checked.device_and_number
    files = find_model(checked.model, checked.model_lib, models_dir, device=device, jit=checked.jit)
    return f"{files.folder}, library {files.library or 'to be compiled at the start'}", list(files.faults())


def _whisper(options: Mapping[str, Any], models_dir: Path) -> tuple[str, list[str]]:
    """Files that are given by their paths; of those given by name, the catalogue knows more."""
    model, vad_model = (Path(options.get(name) or "").expanduser() for name in ("model", "vad_model"))
    files = []
    if model.suffix == ".bin" and model.is_file():
        path, _ = find_whisper(str(model), models_dir)
        files.append(path)
    if vad_model.suffix == ".bin" and vad_model.is_file():
        check_vad(vad_model)
        files.append(vad_model)
    return ", ".join(map(str, files)), []


def _gguf(options: Mapping[str, Any], models_dir: Path) -> tuple[str, list[str]]:
    """A file that is given by its path."""
    model = Path(options.get("model") or "")
    if model.suffix != ".gguf" or not model.is_file():
        return "", []
    path = find_gguf(str(model), models_dir)
    check_gguf(path)
    return str(path), []


_LOOKS: Mapping[str, Callable[[Mapping[str, Any], Path], tuple[str, list[str]]]] = {
    "mlc": _mlc,
    "whispercpp": _whisper,
    "llamacpp": _gguf,
}
"""Engine → what its options say of files, and everything that is wrong with those."""


def _files(setting: str, engine: EngineSettings, models_dir: Path) -> Iterator[Finding]:
    """Looked at without the engine's library, so that it is known before that is there."""
    if engine.name not in _LOOKS:
        return
    name = f"files of {setting}"
    try:
        files, wrong = _LOOKS[engine.name](engine.options, models_dir)
    except ModelFault as exc:
        files, wrong = "", [str(exc)]
    except ValidationError:  # the engine's own line says what is wrong with its options
        return
    except OSError as exc:
        files, wrong = "", [f"cannot read {exc.filename}: {exc.strerror}"]
    yield from (fail(name, fault, command_in(fault) or _LIST) for fault in wrong)
    if files and not wrong:
        yield ok(name, files)
