"""The models that `edgevoice models pull` knows, as `catalogue.json` lists them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from agent.contract.terms import Stage

DEFAULT_MODEL = "smollm2-135m"
"""The language model of who names none."""


class CataloguedModel(BaseModel):
    """A model file inside a Python wheel, which any package index serves."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """Its name here, and its folder's below `models`."""
    summary: str
    """What it is good for."""
    stage: Stage
    """The stage it serves."""
    license: str
    """SPDX identifier."""
    requirement: str
    """The wheel, as pip names it."""
    wheel_sha256: str
    """Checksum of the wheel."""
    file: str
    """Name of the model file in its folder."""
    member: str
    """Its name inside the wheel."""
    license_member: str
    """The licence's name inside the wheel."""
    sha256: str
    """Checksum of the model file."""
    size_bytes: int = Field(alias="bytes")
    """Size of the model file [bytes]."""

    def path(self, models_dir: Path) -> Path:
        """Where the model file belongs."""
        return models_dir / self.name / self.file


@cache
def catalogue() -> dict[str, CataloguedModel]:
    """Every model by name."""
    text = files("agent.models").joinpath("catalogue.json").read_bytes()
    return {model.name: model for model in TypeAdapter(list[CataloguedModel]).validate_json(text)}
