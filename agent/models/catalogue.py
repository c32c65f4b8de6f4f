"""The models that `edgevoice models` knows: those of `catalogue.json`, and the operator's own of `models.json`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from agent.contract.terms import Stage
from agent.contract.wire import first_fault
from agent.errors import UserError

DEFAULT_MODEL = "smollm2-135m"
"""The language model of who names none."""
OWN_CATALOGUE = "models.json"
"""In the home folder: entries like those of `catalogue.json`, which win over them by name."""

_FILE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"
_FileName = Annotated[str, Field(pattern=_FILE_NAME)]
_Url = Annotated[str, Field(pattern=r"^https?://[^/?#]+/")]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
WeightType = Literal["q8_0", "f16", "q4_0"]
"""How the weights of a GGUF model are kept: 8 bits, 16, or 4, those of blocks of 32 with a scale."""
_Sha1 = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class CatalogueError(UserError):
    """A catalogue that cannot be read."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class CataloguedFile(_Entry):
    """A file of a model, as its publisher describes it."""

    name: _FileName
    """Its name in the model's folder."""
    size_bytes: int | None = Field(default=None, alias="bytes", gt=0)
    """Its size [bytes]; left out where that is not known."""
    sha256: _Sha256 | None = None
    """Its checksum; left out where none is published: then the one of what came is kept."""
    sha1: _Sha1 | None = None
    """The same, where the publisher gives this one."""

    @property
    def has_checksum(self) -> bool:
        """Whether what comes can be told from what should."""
        return bool(self.sha256 or self.sha1)


class WheelFile(CataloguedFile):
    """A file inside a wheel."""

    member: str
    """Its name there."""


class HttpFile(CataloguedFile):
    """A file that a web server has."""

    url: _Url
    """Where it is; of https://huggingface.co, the server that HF_ENDPOINT names is asked instead."""
    unpack: tuple[str, ...] = ()
    """Of a zip archive: patterns of the names to take out of it, without folders; each must be there."""


class Wheel(_Entry):
    """Files inside a Python wheel, which any package index serves."""

    kind: Literal["wheel"]
    requirement: str
    """The wheel, as pip names it."""
    sha256: _Sha256
    """Checksum of the wheel."""
    files: tuple[WheelFile, ...] = Field(min_length=1)

    @property
    def origin(self) -> str:
        """Where it comes from, for people."""
        return f"pip: {self.requirement}"


class Http(_Entry):
    """Files on a web server."""

    kind: Literal["http"]
    files: tuple[HttpFile, ...] = Field(min_length=1)

    @property
    def origin(self) -> str:
        """Where it comes from, for people."""
        return self.files[0].url.split("/")[2]


class HuggingFace(_Entry):
    """Files of a repository on Hugging Face."""

    kind: Literal["huggingface"]
    repository: str = Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")
    """User and name."""
    revision: str = "main"
    """Branch, tag or commit; the commit that was fetched is kept."""
    include: tuple[str, ...] = ("*",)
    """Patterns of the files to fetch; all of them end up in one folder."""
    rename: dict[str, _FileName] = Field(default_factory=dict)
    """Files that are to be called otherwise: name there → name here."""
    also: dict[_FileName, _FileName] = Field(default_factory=dict)
    """Further names of files, name → name, where nothing of that name is fetched: engines of another age look there."""

    @property
    def origin(self) -> str:
        """Where it comes from, for people."""
        return f"hf: {self.repository}"


class Requantized(_Entry):
    """Another model's file, written anew here with its weights in another type."""

    kind: Literal["requantized"]
    model: str
    """Its name in the models folder, or the path of its .gguf file."""
    weights: WeightType
    """What its weights become."""

    @property
    def origin(self) -> str:
        """Where it comes from, for people."""
        return f"made of {self.model}"


class CataloguedModel(_Entry):
    """A model, and where it comes from."""

    name: _FileName
    """Its name here, and its folder's below `models`."""
    summary: str
    """What it is good for."""
    stage: Stage
    """The stage it serves."""
    engine: str
    """The engine that loads it."""
    license: str
    """SPDX identifier."""
    page: str | None = None
    """Where people read about it."""
    about_bytes: int | None = Field(default=None, gt=0)
    """Roughly its size, where the publisher does not tell it [bytes]."""
    source: Annotated[Wheel | Http | HuggingFace | Requantized, Field(discriminator="kind")]
    """Where its files come from."""

    @property
    def known_files(self) -> dict[str, CataloguedFile]:
        """The files it is known to consist of, by name; none of those in a repository or a zip archive."""
        if isinstance(self.source, HuggingFace | Requantized):
            return {}
        return {file.name: file for file in self.source.files if not (isinstance(file, HttpFile) and file.unpack)}

    @property
    def size_bytes(self) -> int | None:
        """What it takes on the disk [bytes], at least roughly."""
        sizes = [file.size_bytes or 0 for file in self.known_files.values()]
        return sum(sizes) or self.about_bytes

    @property
    def has_checksums(self) -> bool:
        """Whether its publisher gives the checksum of what is big in it."""
        if isinstance(self.source, HuggingFace):
            return True  # with every file, when it is asked for the list
        if isinstance(self.source, Requantized):
            return False
        return isinstance(self.source, Wheel) or all(file.has_checksum for file in self.source.files)

    def folder(self, models_dir: Path) -> Path:
        """Where its files belong."""
        return models_dir / self.name


def catalogue(home: Path | None = None) -> dict[str, CataloguedModel]:
    """Every model by name, those that the operator added in `home` included. CatalogueError names the first fault."""
    own = home / OWN_CATALOGUE if home else None
    if own is None or not own.is_file():
        return _shipped()
    try:
        return {**_shipped(), **_by_name(own.read_bytes())}
    except OSError as exc:
        raise CatalogueError(f"{own} cannot be read: {exc.strerror}") from exc
    except ValidationError as exc:
        field, message = first_fault(exc)
        raise CatalogueError(f"{own}: {f'{field}: ' if field else ''}{message}") from exc


@cache
def _shipped() -> dict[str, CataloguedModel]:
    return _by_name(files("agent.models").joinpath("catalogue.json").read_bytes())


def _by_name(text: bytes) -> dict[str, CataloguedModel]:
    return {model.name: model for model in TypeAdapter(list[CataloguedModel]).validate_json(text)}
