"""A real stack whose bridge needs keys."""

import subprocess
import sys

import pytest

from agent.stack import Stack


def make_key(stack: Stack, name: str, *options: str) -> str:
    """A key of the stack's bridge, made as an operator makes it."""
    return run_keys(stack, "add", name, *options)


def run_keys(stack: Stack, action: str, name: str, *options: str) -> str:
    """What `edgevoice keys` prints, for the stack's own files."""
    files = {"--file": stack.keys_file, "--acl": stack.folder / "broker" / "acl", "--pid-file": stack.broker.pid_file}
    places = [word for option, path in files.items() for word in (option, str(path))]
    argv = [sys.executable, "-m", "agent", "keys", action, name, *places, *options]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def bearer():
    """The headers by which a key is shown."""
    return lambda key: {"Authorization": f"Bearer {key}"}
