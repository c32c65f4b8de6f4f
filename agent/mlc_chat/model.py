"""Which model a name, or a path, stands for: one of EdgeVoice's settings, or the files of an MLC model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from agent.engines.language_models import DEFAULT
from agent.engines.mlc_options import MlcOptions
from agent.engines.settings import LanguageModelSettings
from agent.mlc_chat.manner import Own
from agent.model_files.fault import ModelFault
from agent.model_files.mlc import DEVICES, find_model
from agent.model_files.mlc_config import CONFIG
from agent.settings import Settings

_AUTO = "auto"


@dataclass(frozen=True)
class Found:
    """A model that can be loaded."""

    settings: LanguageModelSettings
    own: Own
    told: tuple[str, ...]
    """What the person is told of where it was found, line by line."""


def find(model: str, device: str, model_lib_path: str | None, settings: Settings) -> Found:
    """The model that is meant: of the `settings` by its name, or else MLC's.

    ValueError where `device` is none. FileNotFoundError lists every path tried.
    """
    options = _on(device)
    if registered := _registered(model, settings):
        if device != _AUTO or model_lib_path:
            raise ValueError(
                f"{model} is one of EdgeVoice's settings, which say how it runs: leave device and model_lib_path out,"
                " or give the path of a model's folder"
            )
        own = Own(registered.template, registered.system, registered.max_tokens)
        return Found(registered, own, (f"Using model of EdgeVoice's settings: {model} ({registered.name})",))
    try:
        files = find_model(model, model_lib_path, settings.models_dir, device=options.device_and_number[0])
    except ModelFault as exc:
        raise FileNotFoundError(f"{exc}; or register {model!r} below [models] in EdgeVoice's settings") from exc
    config = files.config
    return Found(
        LanguageModelSettings(
            name="mlc",
            options={
                "model": str(files.folder.absolute()),
                "model_lib": str(files.library),
                "device": device,
                "mode": "interactive",
            },
        ),
        Own(config.template_name, max_gen_len=config.max_gen_len, end_tokens=config.end_tokens),
        (
            f"Using model folder: {_shown(files.folder)}",
            f"Using mlc chat config: {_shown(files.folder / CONFIG)}",
            f"Using library model: {_shown(files.library)}",
        ),
    )


def _on(device: str) -> MlcOptions:
    try:
        return MlcOptions(device=device)
    except ValidationError as exc:
        raise ValueError(
            f"no device {device!r}: say {', '.join(DEVICES)} or {_AUTO}, and behind all but the last which of them,"
            " as in cuda:1; without a number it is the first"
        ) from exc


def _registered(model: str, settings: Settings) -> LanguageModelSettings | None:
    """The language model that the settings know by this name; the agent's own by the name of its model, too."""
    own = {DEFAULT, settings.llm.options.get("model")}
    return settings.models.get(model) or (settings.llm if model in own else None)


def _shown(path: Path | None) -> str:
    """`path` as seen from the working directory, where it is below it."""
    if path is None:
        return "none"
    below = path.absolute()
    return f"./{below.relative_to(Path.cwd())}" if below.is_relative_to(Path.cwd()) else str(path)
