"""The `edgevoice` command; `python -m agent` is the same, and runs the agent where no command is given."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib import import_module

from agent import __version__
from agent.commands import COMMANDS
from agent.contract.errors import ContractError
from agent.errors import UserError
from agent.signals import INTERRUPTED

_FAILED = 1
_MISUSED = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status. What a person can put right is one line on stderr."""
    argv = sys.argv[1:] if argv is None else argv
    logging.getLogger("agent").addHandler(logging.NullHandler())  # only the agent itself talks by log lines
    try:
        parser = _parser(argv)  # which imports the command: Ctrl-C may come then, too
        args = parser.parse_args(argv)
        if args.command is None:
            parser.print_help(sys.stderr)
            return _MISUSED
        status: int = import_module(f"agent.commands.{args.command}").run(args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except ContractError as exc:
        return _fail(f"{exc.code.value}: {exc.message}")
    except UserError as exc:
        return _fail(str(exc), exc.exit_status)
    except OSError as exc:
        return _fail(str(exc))
    return status


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgevoice",
        description="Ask over MQTT or HTTP, be answered in text or speech.",
        epilog="`edgevoice COMMAND --help` tells more of one command.",
    )
    parser.add_argument("--version", action="version", version=f"edgevoice {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    chosen = next((word for word in argv if not word.startswith("-")), None)
    for name, meaning in COMMANDS.items():
        command = commands.add_parser(name, help=meaning, description=meaning)
        if name == chosen:
            import_module(f"agent.commands.{name}").add_arguments(command)
    return parser


def _fail(message: str, status: int = _FAILED) -> int:
    sys.stderr.write(f"edgevoice: {message}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["agent"]))
