"""Finds the files of a Coqui voice, and whatever speaks against loading them, without the library."""

from __future__ import annotations

import copy
import json
import os
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

from agent.model_files.coqui_licence import FAMILY, folder_names, refuse_unfree
from agent.model_files.fault import ModelFault

DEFAULT_VOICE = "tts_models/en/ljspeech/vits"
"""The voice of who names none: English, Apache-2.0."""

_CONFIG = "config.json"
_PULL = "`edgevoice models pull coqui-ljspeech-vits` fetches one whose licence is free"
_CHECKPOINTS = ("model_file.pth", "model_file.pth.tar", "model.pth", "checkpoint.pth", "best_model.pth")
_SUFFIXES = (".pth", ".pth.tar", ".pt")
_OLD_CHECKPOINT = b"\x80\x02"
_COMPANIONS = {
    "speakers_file": ("speaker_ids.json", "speaker_ids.pth", "speakers.json", "speakers.pth"),
    "d_vector_file": ("speakers.json", "speakers.pth"),
    "language_ids_file": ("language_ids.json", "language_ids.pth"),
    "speaker_encoder_model_path": ("model_se.pth", "model_se.pth.tar"),
    "speaker_encoder_config_path": ("config_se.json",),
    "stats_path": ("scale_stats.npy",),
}
_NO_CHECKPOINTS = {"speakers_xtts.pth", *(name for names in _COMPANIONS.values() for name in names)}


@dataclass(frozen=True)
class VoiceFiles:
    """A voice, as it lies on disk."""

    name: str
    """As the settings name it; the folder's name where they give a path."""
    checkpoint: Path
    """The model."""
    config: dict[str, Any]
    """What its config.json says."""

    @property
    def config_path(self) -> Path:
        """Its config.json."""
        return self.checkpoint.parent / _CONFIG

    @property
    def speaks_phonemes(self) -> bool:
        """Whether it wants its text spelled by espeak."""
        speller = self.config.get("phonemizer") or "espeak"
        return bool(self.config.get("use_phonemes")) and speller in ("espeak", "multi_phonemizer")

    @property
    def config_here(self) -> dict[str, Any]:
        """`config` with the paths of the machine that trained it replaced by what lies beside it."""
        here = copy.deepcopy(self.config)
        for section in (here, here.get("model_args"), here.get("audio")):
            if isinstance(section, dict):
                for key in section.keys() & _COMPANIONS.keys():
                    section[key] = self._companion(key, section[key])
        return here

    def _companion(self, key: str, configured: Any) -> Any:
        named = configured[0] if isinstance(configured, list) and configured else configured
        names = (named, Path(named).name) if isinstance(named, str) and named else ()
        for name in (*names, *_COMPANIONS[key]):
            path = self.checkpoint.parent / name
            if path.is_file():
                return [str(path)] if isinstance(configured, list) else str(path)
        return configured


def find_voice(model: str, models_dir: Path, *, accept_license: bool) -> VoiceFiles:
    """The files of the voice `model`. ModelFault: they are nowhere, not as they should be, or not free to use."""
    if not accept_license:
        refuse_unfree(model, {model})
    voice = _found(model, _places(model, models_dir))
    if not accept_license:
        refuse_unfree(model, {voice.name, voice.checkpoint.parent.resolve().name}, voice.config["model"])
    if voice.speaks_phonemes and not (which("espeak-ng") or which("espeak")):
        raise ModelFault(
            f"the voice {voice.name} needs espeak-ng, which is not installed; "
            "on Debian, `apt-get install espeak-ng` brings it"
        )
    return voice


def voice_in(folder: Path) -> VoiceFiles:
    """The voice that lies in `folder`. ModelFault: there is none, or it is broken."""
    return _found(str(folder), [folder])


def _found(model: str, places: list[Path]) -> VoiceFiles:
    for place in places:
        with suppress(PermissionError):  # a home that a service may not enter is as good as none
            checkpoint = place if place.is_file() else _checkpoint(place)
            if checkpoint:
                folder = checkpoint.parent.resolve()
                _check_checkpoint(checkpoint)
                return VoiceFiles(folder.name if _is_path(model) else model, checkpoint, _config(checkpoint.parent))
    tried = ", ".join(str(place) for place in places)
    raise ModelFault(f"no voice {model!r} at {tried}; {_PULL}")


def _places(model: str, models_dir: Path) -> list[Path]:
    if _is_path(model):
        return [_at_home(model)]
    stored, pulled = folder_names(model)
    ours = [models_dir / name for name in dict.fromkeys((stored, pulled))]
    homes = (os.environ.get("TTS_HOME"), os.environ.get("XDG_DATA_HOME"), "~/.local/share")
    return [*ours, *(_at_home(home) / "tts" / stored for home in homes if home)]


def _at_home(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser fails for who has no home


def _is_path(model: str) -> bool:
    return model.endswith(_SUFFIXES) or model.startswith((".", "~")) or ("/" in model and not model.startswith(FAMILY))


def _checkpoint(folder: Path) -> Path | None:
    """The model in `folder`; None where there is nothing of a voice."""
    if not folder.is_dir():
        return None
    files = sorted(path for path in folder.iterdir() if path.name.endswith(_SUFFIXES) and path.is_file())
    found = [path for path in files if path.name not in _NO_CHECKPOINTS]
    for path in found:
        if len(found) == 1 or path.name in _CHECKPOINTS:
            return path
    if found:
        raise ModelFault(f"{folder} has {len(found)} models; set `model` to the one to load, such as {found[0]}")
    if (folder / _CONFIG).is_file():
        raise ModelFault(f"{folder} has a {_CONFIG} but no model (.pth); fetch the voice again")
    return None


def _check_checkpoint(path: Path) -> None:
    """Refuses what is not a model, or not all of it. A zip's directory is its end, so reading that is enough."""
    try:
        with path.open("rb") as file:
            magic = file.read(2)
        if magic == _OLD_CHECKPOINT:  # of a torch before 1.6, which only torch can judge
            return
        if magic != b"PK":
            raise ModelFault(f"{path} is not a model of Coqui's; fetch it again")
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as exc:
        raise ModelFault(f"{path} is not complete; fetch it again") from exc
    except OSError as exc:
        raise ModelFault(f"cannot read {path}: {exc.strerror}") from exc
    if not any(name.endswith("data.pkl") for name in names):
        raise ModelFault(f"{path} is not a model of Coqui's; fetch it again")


def _config(folder: Path) -> dict[str, Any]:
    path = folder / _CONFIG
    try:
        config = json.loads(path.read_bytes())
    except OSError as exc:
        raise ModelFault(f"cannot read {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise ModelFault(f"{path} is not JSON: {exc}") from exc
    if not isinstance(config, dict) or not isinstance(config.get("model"), str):
        raise ModelFault(f"{path} does not describe a voice of Coqui's: it names no `model`")
    return config
