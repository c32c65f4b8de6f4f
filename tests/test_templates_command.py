"""`edgevoice templates`: what an operator types, and what is then there."""

import io
import json
import os
import subprocess
import sys

import pytest

from agent.__main__ import main
from agent.stack import Part, Stack, StackSettings

pytestmark = pytest.mark.once

SEED = '{"config":{"temperature":"1.0"},"system":"Be kind. ","template":"{system}{user}"}'
LATER = '{"config":{"temperature":"1.0"},"system":null,"template":"{system}{user}"}'


@pytest.fixture(scope="module")
async def stack(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    async with Stack(StackSettings.scripted(parts=(Part.BROKER, Part.AGENT))) as running:
        yield running


@pytest.fixture(params=["5", "3.1.1"])
def type_in(request, stack, monkeypatch, tmp_path, capsys):
    """Runs a command as the operator: its exit status, and what it printed."""
    monkeypatch.chdir(tmp_path)

    def type_in(*words, user="operator"):
        for name, value in stack.mqtt(user, protocol=request.param).model_dump(mode="json", exclude_none=True).items():
            monkeypatch.setenv(f"EDGEVOICE_MQTT__{name.upper()}", str(value))
        status = main(["templates", *words])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return type_in


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "kind.json"
    path.write_text(SEED)
    return str(path)


def test_what_is_saved_is_shown_changed_undone_and_taken_away(type_in, file, tmp_path):
    """Rows 3.4, 3.17"""
    assert type_in("put", "kind.json", file) == (0, "kind is version 1\n")
    assert json.loads(type_in("show", "kind")[1]) == {**json.loads(SEED), "config": {"temperature": 1.0}}
    (tmp_path / "kind.json").write_text(LATER)
    assert type_in("put", "kind", file) == (0, "kind is version 2\n")
    assert "needs system" in type_in("list")[1]
    status, shown = type_in("diff", "kind")
    assert status == 0
    assert [line for line in shown.splitlines() if line[0] in "+-"] == [
        "--- kind version 1",
        "+++ kind version 2",
        '-  "system": "Be kind. ",',
        '+  "system": null,',
    ]
    assert type_in("diff", "kind", "2", "1")[1].startswith("--- kind version 2\n+++ kind version 1\n")
    assert json.loads(type_in("show", "kind", "--version", "1", "--json")[1])["versions"] == [1, 2]
    assert type_in("undo", "kind") == (0, "kind is version 1\n")
    assert type_in("delete", "kind") == (0, "kind is gone; `undo` brings it back\n")
    assert type_in("undo", "kind") == (0, "kind is version 1\n")
    assert type_in("undo", "kind") == (0, "kind is gone\n")


def test_one_is_rendered(type_in):
    asked = ("render", "translate", "Good morning!", "--var", "to=German")
    status, shown = type_in(*asked)
    assert (status, shown.splitlines()[-1]) == (0, "Good morning!")
    assert "into German" in shown
    assert json.loads(type_in(*asked, "--json")[1])["config"]["temperature"] == 0
    status, said = type_in("render", "translate", "Good morning!")
    assert (status, "template_invalid" in said, "to" in said) == (1, True, True)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["show", "nothing"], "not_found"),
        (["diff", "home"], "home is as shipped, and there is none before it"),
        (["put", "kind", "nowhere.json"], "nowhere.json"),
        (["undo", "home"], "as it was shipped"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_one_line(type_in, words, reason):
    status, said = type_in(*words)
    assert (status, said.count("\n")) == (1, 1)
    assert reason in said


def test_a_file_that_is_no_template_names_its_fault(type_in, file, tmp_path):
    """Row 3.5"""
    (tmp_path / "kind.json").write_text('{"template":"{user}","config":{"top_p":"7"}}')
    status, said = type_in("put", "kind", file)
    assert (status, "config.top_p" in said) == (1, True)


def test_it_may_come_from_another_program(type_in, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SEED.encode())))
    assert type_in("put", "piped", "-", "--json")[0] == 0
    assert type_in("undo", "piped") == (0, "piped is gone\n")


def test_a_file_may_begin_with_a_byte_order_mark(type_in, file, tmp_path):
    (tmp_path / "kind.json").write_text(SEED, encoding="utf-8-sig")
    assert type_in("put", "marked", file)[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ["render", "home", "--var", "x"],
        ["render", "home", "\udcff"],
        ["render", "home", "--var", "x=\udcff"],
        ["show", "a b"],
        ["show", "home", "--version", "-1"],
    ],
    ids=ascii,
)
def test_what_is_mistyped_is_refused_at_once(words):
    with pytest.raises(SystemExit) as exit_:
        main(["templates", *words])
    assert exit_.value.code == 2


def test_who_is_no_operator_is_told(stack, tmp_path):
    """On MQTT 5, where the broker says so."""
    broker = stack.mqtt("demo").model_dump(mode="json", exclude_none=True)
    settings = {f"EDGEVOICE_MQTT__{name.upper()}": str(value) for name, value in broker.items()}
    argv = [sys.executable, "-m", "agent", "templates", "list"]
    done = subprocess.run(
        argv, capture_output=True, text=True, env={**os.environ, **settings}, cwd=tmp_path, check=False
    )
    assert (done.returncode, "forbidden" in done.stderr) == (1, True)
