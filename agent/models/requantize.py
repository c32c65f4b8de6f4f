"""A model of llama.cpp with its weights in another type: what comes smallest is not what a machine runs fastest."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from pydantic import ValidationError

from agent.contract.terms import Stage
from agent.model_files.fault import ModelFault
from agent.model_files.gguf import check_gguf, find_gguf
from agent.models.catalogue import CataloguedModel, Requantized, WeightType
from agent.models.errors import PullError
from agent.models.known import known
from agent.models.manifest import FileRecord, record
from agent.models.progress import Progress
from agent.models.workspace import Workspace

ENGINE = "llamacpp"
_FILE = "model.gguf"
_TERMS = ("LICENSE*", "NOTICE*")


def requantized(model: str, weights: WeightType, home: Path) -> CataloguedModel:
    """The entry of `model` with its weights as `weights`, to be pulled; PullError where it would be in the way.

    `model` is a name in the models folder, or the path of a .gguf file.
    """
    models_dir = home / "models"
    path = _found(model, models_dir)
    name = f"{path.parent.name if path.name == _FILE else path.stem}-{weights}"
    by_path = model.endswith(".gguf")
    source = Requantized(kind="requantized", model=str(path.absolute()) if by_path else model, weights=weights)
    models = known(home)
    origin = models.get(model)
    try:
        entry = CataloguedModel(
            name=name,
            summary=f"{origin.summary if origin else model}; its weights as {weights}",
            stage=Stage.LLM,
            engine=ENGINE,
            license=origin.license if origin else "unknown",
            page=origin.page if origin else None,
            source=source,
        )
    except ValidationError as exc:
        raise PullError(f"{name!r} cannot be a model's name; rename the file to letters, digits and . _ -") from exc
    there = models.get(name)
    if there.source != source if there else entry.folder(models_dir).exists():
        raise PullError(f"{name} is there, and was not made of {model}; `edgevoice models rm {name}` deletes it")
    return entry


def make(
    model: CataloguedModel, source: Requantized, workspace: Workspace, progress: Progress
) -> dict[str, FileRecord]:
    """Leaves `model`, and the terms it comes under, in the workspace."""
    path = _found(source.model, workspace.models_dir)
    if find_spec("gguf") is None:
        raise PullError("gguf is not installed; `pip install 'edgevoice[models]'` brings it")
    from agent.models.gguf_weights import GgufWeights  # noqa: PLC0415 - optional

    made = GgufWeights(path, source.weights)
    workspace.room(made.size_bytes)
    with progress.of(model.name, made.size_bytes) as tracker:
        made.write(workspace.files / _FILE, tracker)
    if path.name == _FILE:  # else the folder may be anybody's
        for terms in (terms for pattern in _TERMS for terms in sorted(path.parent.glob(pattern))):
            shutil.copyfile(terms, workspace.files / terms.name)
    return {file.name: record(file, published=False) for file in workspace.files.iterdir()}


def _found(model: str, models_dir: Path) -> Path:
    if (models_dir / model).is_dir() and not (models_dir / model / _FILE).is_file():
        raise PullError(f"{model} has no {_FILE}; only models of {ENGINE} can be written anew")
    try:
        path = find_gguf(model, models_dir)
        check_gguf(path)
    except ModelFault as exc:
        raise PullError(str(exc)) from exc
    return path
