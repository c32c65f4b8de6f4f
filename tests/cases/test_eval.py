"""`edgevoice eval` on real processes: two configurations, side by side; speech that is sent back; what it ends with."""

import asyncio
import json
import sys

import pytest

from tests.cases.conftest import HEARD
from tests.wav_files import sine, wav

pytestmark = [pytest.mark.anyio, pytest.mark.once]

SUITE = """\
configurations:
  plain: {}
  parrot: {model: parrot, mode: raw}
questions:
  - name: said
    ask: Hi there
    expect: {regex: "^hi there$"}
  - name: spoken back
    ask: TURN_ON
    expect: {spoken: {max_word_errors: 0}}
  - name: heard
    audio: clip.wav
    expect: {heard: kitchen, contains: lights}
  - name: remembered
    conversation:
      - ask: One two three
      - ask: Four
        expect: {contains: four, finish_reason: stop}
  - name: in a circle
    ask: HA
    expect: {no_loop: true}
  - name: nobody
    ask: Hi
    model: nobody
    expect: {error: not_found}
"""


@pytest.fixture
def folder(tmp_path):
    text = SUITE.replace("TURN_ON", HEARD).replace("HA", "it is as it is " * 20)
    (tmp_path / "suite.yaml").write_text(text)
    (tmp_path / "clip.wav").write_bytes(wav(sine(seconds=0.5)))
    return tmp_path


async def evaluated(folder, *arguments):
    """Exit status, what it shows, what it says on stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "eval", "suite.yaml", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
    )
    shown, said = await process.communicate()
    return process.returncode, shown.decode(), said.decode()


def through(stack):
    return ["--port", str(stack.broker.port), "--user", "demo", "--password-file", str(stack.mqtt().password_file)]


async def test_two_configurations_side_by_side(stack, mqtt5, folder):
    status, shown, said = await evaluated(folder, *through(stack), "--json", "out.json", "--concurrency", "3")
    assert (status, said) == (1, "")
    told = json.loads((folder / "out.json").read_text())
    passed = {
        name: {one["question"] for one in told["outcomes"] if one["passed"] and one["configuration"] == name}
        for name in ("plain", "parrot")
    }
    assert passed["plain"] == {"heard", "remembered", "nobody"}
    assert passed["parrot"] == passed["plain"] | {"said", "spoken back"}
    failed = {
        one["question"]: one["failure"]["why"]
        for one in told["outcomes"]
        if not one["passed"] and one["configuration"] == "plain"
    }
    assert failed["spoken back"] == f"2 word errors in 7 words, understood as “{HEARD}”"
    assert failed["in a circle"] == "it goes in a circle"
    assert "≠ said" in shown
    assert "passed 3 of 6 (50%) 5 of 6 (83%)" in " ".join(shown.split())
    assert told["configurations"]["plain"]["completion_tokens"] > 0
    left = mqtt5.ask("session", op="list")["result"]["sessions"]
    assert not [session for session in left if session["session_id"].startswith("eval-")]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--fail-under", "0.8", "--config", "parrot"], 0), (["--fail-under", "0.8"], 1), (["--config", "parrot"], 1)],
)
async def test_it_ends_as_was_wanted_of_it(stack, folder, arguments, status):
    assert (await evaluated(folder, *through(stack), *arguments))[0] == status


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--config", "poet"], "no configuration 'poet' in the suite; there are plain, parrot"),
        (["--json", "none/out.json"], "none/out.json cannot be written"),
        (["--port", "1"], "broker_unavailable: "),
    ],
)
async def test_what_cannot_be_evaluated_is_one_line(folder, arguments, told):
    status, shown, said = await evaluated(folder, *arguments)
    assert (status, shown) == (2, "")
    assert said.startswith(f"edgevoice: {told}")
    assert said.count("\n") == 1
