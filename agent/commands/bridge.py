"""Run the HTTP bridge."""

from __future__ import annotations

import argparse
import os
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None: the bridge reads its settings from the environment."""
    parser.epilog = "It is set by environment variables EDGEVOICE_BRIDGE_…; `edgevoice settings` says which."


def run(args: argparse.Namespace) -> int:  # noqa: ARG001 - every command's shape
    """Becomes `python -m bridge`: the agent's code imports nothing of the bridge."""
    os.execv(sys.executable, [sys.executable, "-m", "bridge"])  # noqa: S606 - our own interpreter, no shell
