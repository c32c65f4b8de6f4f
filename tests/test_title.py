"""What processes are called, as `ps` shows it."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.title import words_of

ROOT = Path(__file__).parents[1]


def test_a_process_is_called_by_what_it_is_and_not_by_its_arguments():
    program = "from agent.title import entitle; entitle('engine', 'stt', 'scripted'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "secret"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout
        assert process.stdin
        process.stdout.readline()
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.stdin.write(b"\n")
    assert words_of(shown) == ["engine", "stt", "scripted"]
    assert b"secret" not in shown


@pytest.mark.parametrize(
    "cmdline", [b"", b"python\0-m\0agent\0", b"/opt/edgevoice/bin/edgevoice\0agent\0", b"edgevoice\0up"]
)
def test_what_is_started_by_hand_has_no_title(cmdline):
    assert words_of(cmdline) == []
