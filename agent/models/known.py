"""Every model that is known here: those of the catalogue, and those that were made of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agent.models.catalogue import CataloguedModel, catalogue
from agent.models.manifest import MANIFEST, Manifest


def known(home: Path) -> dict[str, CataloguedModel]:
    """Every model by name; CatalogueError where the operator's own catalogue cannot be read."""
    catalogued = catalogue(home)
    return {**catalogued, **{name: model for name, model in _made(home / "models") if name not in catalogued}}


def _made(models_dir: Path) -> Iterator[tuple[str, CataloguedModel]]:
    for path in sorted(models_dir.glob(f"*/{MANIFEST}")):
        try:
            manifest = Manifest.read(path.parent)
        except (OSError, ValueError):
            continue  # verified by nobody: the folder is shown as one that is not known
        if manifest and manifest.made and manifest.made.name == path.parent.name:
            yield manifest.made.name, manifest.made
