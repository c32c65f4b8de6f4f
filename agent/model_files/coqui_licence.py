"""Under which licence Coqui's voices are, as its own catalogue tells, and whether that is free for every use."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from importlib.util import find_spec
from pathlib import Path

from agent.model_files.fault import ModelFault

FAMILY = "tts_models/"
"""What every voice's name in Coqui's catalogue begins with."""

_FREE = re.compile(r"apache|mit\b|mpl|bsd|cc[- ]by(-sa)?[- ]\d", re.IGNORECASE)


def refuse_unfree(model: str, names: Collection[str], architecture: str = "") -> None:
    """ModelFault where the voice `model`, known by any of `names`, is known not to be free for every use.

    Of a voice of one's own nothing is known.
    """
    licence = "CPML" if architecture.lower() == "xtts" else _known_licence(names)
    if licence and not _FREE.match(licence):
        raise ModelFault(
            f"the voice {model} is licensed under {licence}, which is not free for every use; "
            "if you may use it and accept that, set the option `accept_license`"
        )


def folder_names(model: str) -> tuple[str, str]:
    """What the folder of a voice of Coqui's catalogue is called: by Coqui itself, and in the models folder."""
    _, _, name = model.partition(FAMILY)
    pulled = "coqui-" + name.removeprefix("en/").replace("/", "-") if name else model
    return model.replace("/", "--"), pulled


def _known_licence(names: Collection[str]) -> str | None:
    if any("fairseq" in re.split("--|/", name) for name in names):
        return "CC BY-NC 4.0"
    for known, licence in _catalogue():
        if not {known, *folder_names(known)}.isdisjoint(names):
            return licence
    return None


def _catalogue() -> Iterator[tuple[str, str]]:
    """Every voice that the installed library knows, and its licence."""
    spec = find_spec("TTS")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / ".models.json"
        families = json.loads(path.read_bytes()) if path.is_file() else {}
        for language, sets in families.get("tts_models", {}).items():
            for data, models in sets.items():
                for name, about in models.items():
                    yield f"{FAMILY}{language}/{data}/{name}", about.get("license") or ""
