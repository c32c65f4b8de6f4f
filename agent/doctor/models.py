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
from agent.errors import EngineError
from agent.model_files.ggml import GgmlError, check_vad, check_whisper
from agent.model_files.mlc import find_model
from agent.models.catalogue import CataloguedModel, catalogue
from agent.models.verify import Presence, faults, presence

_WHOLE = "by names and sizes; `edgevoice models verify` reads its checksums, too"
_GGUF = b"GGUF"
_LIST = "edgevoice models list"


def check(site: Site) -> Iterator[Finding]:
    """A line for each model that is asked for, and for each other one that is broken."""
    known, models_dir = catalogue(site.settings.home), site.settings.models_dir
    asked = wanted(site)
    for model in known.values():
        yield from _catalogued(model, models_dir, asked=model.name in asked)
    for setting, engine in site.stages.items():
        named = known.get(str(engine.options.get("model")))
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


def _whisper(options: Mapping[str, Any], _: Path) -> tuple[str, list[str]]:
    """Files that are given by their paths; of those given by name, the catalogue knows more."""
    looks = {"model": check_whisper, "vad_model": check_vad}
    given = {name: Path(options.get(name) or "").expanduser() for name in looks}
    there = {name: path for name, path in given.items() if path.suffix == ".bin" and path.is_file()}
    for name, path in there.items():
        looks[name](path)
    return ", ".join(map(str, there.values())), []


def _gguf(options: Mapping[str, Any], _: Path) -> tuple[str, list[str]]:
    """A file that is given by its path."""
    path = Path(options.get("model") or "")
    if path.suffix != ".gguf" or not path.is_file():
        return "", []
    with path.open("rb") as file:
        return str(path), [] if file.read(len(_GGUF)) == _GGUF else [f"{path} is not a GGUF model; fetch it again"]


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
    except (EngineError, GgmlError) as exc:
        files, wrong = "", [str(exc)]
    except ValidationError:  # the engine's own line says what is wrong with its options
        return
    except OSError as exc:
        files, wrong = "", [f"cannot read {exc.filename}: {exc.strerror}"]
    yield from (fail(name, fault, command_in(fault) or _LIST) for fault in wrong)
    if files and not wrong:
        yield ok(name, files)
