"""The models that can be had and those that are there, as a table or for programs."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agent.models.catalogue import CataloguedModel, Requantized
from agent.models.progress import size_text
from agent.models.verify import presence

_COLUMNS = 150


def show(models: Collection[CataloguedModel], models_dir: Path) -> None:
    """Prints a table."""
    console = Console()
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "stage", "engine", "size", "licence", "where from", "checksum", "here"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "size" else "left")
    for model in models:
        table.add_row(
            model.name,
            model.stage.value,
            model.engine,
            size_text(model.size_bytes),
            model.license,
            model.source.origin,
            _checksum(model),
            presence(model, models_dir).value,
        )
    Console(width=max(console.width, _COLUMNS)).print(table)
    if others := _others(models, models_dir):
        console.print(f"Not of the catalogue, in {models_dir}: {', '.join(others)}", soft_wrap=True)


def as_json(models: Collection[CataloguedModel], models_dir: Path) -> str:
    """A JSON array, a model an object."""
    listed = [
        {
            **model.model_dump(mode="json", include={"name", "summary", "stage", "engine", "license", "page"}),
            "bytes": model.size_bytes,
            "from": model.source.origin,
            "checksum": _checksum(model),
            "here": presence(model, models_dir).value,
            "folder": str(model.folder(models_dir)),
        }
        for model in models
    ]
    return json.dumps(listed, indent=2, ensure_ascii=False)


def _checksum(model: CataloguedModel) -> str:
    if isinstance(model.source, Requantized):
        return "recorded when made"
    return "published" if model.has_checksums else "recorded at download"


def _others(models: Collection[CataloguedModel], models_dir: Path) -> list[str]:
    if not models_dir.is_dir():
        return []
    known = {model.name for model in models}
    found = (path for path in models_dir.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path.name for path in found if path.name not in known)
