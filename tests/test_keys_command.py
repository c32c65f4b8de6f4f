"""`edgevoice keys`: what it stores, shows, writes into the broker's ACL, and says where it cannot."""

import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.keys import digest_of, parse_keys

ROOT = Path(__file__).parents[1]
RULES = ["topic write edgevoice/v1/+/request/http-kitchen/#", "topic read edgevoice/v1/+/reply/http-kitchen/#"]


@pytest.fixture
def acl(tmp_path):
    """A copy of the shipped ACL."""
    return Path(shutil.copy(ROOT / "mosquitto" / "acl", tmp_path / "acl"))


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Where the keys are by the settings."""
    path = tmp_path / "etc" / "bridge-keys"
    monkeypatch.setenv("EDGEVOICE_BRIDGE_KEYS_FILE", str(path))
    monkeypatch.setenv("EDGEVOICE_BRIDGE_HOST", "0.0.0.0")  # which needs the key that is only being made
    return path


@pytest.fixture
def reloaded(monkeypatch):
    """How often the broker was told to read its files again."""
    told: list[Path | None] = []
    monkeypatch.setattr("agent.commands.keys.reload_broker", told.append)
    return told


def rules_of_the_bridge(acl):
    """The lines below `user bridge`."""
    return acl.read_text().partition("user bridge\n")[2].partition("\n\n")[0].splitlines()


def test_a_key_is_made_shown_once_and_kept_by_its_hash(file, acl, reloaded, capsys):
    assert main(["keys", "add", "kitchen", "--acl", str(acl), "--pid-file", "broker.pid"]) == 0

    shown = capsys.readouterr()
    key = shown.out.strip()
    assert re.fullmatch(r"ev_kitchen_[A-Za-z0-9_-]{43}", key)
    assert key not in shown.err
    [stored] = parse_keys(file.read_text())
    assert (stored.name, stored.digest, stored.operator) == ("kitchen", digest_of(key), False)
    assert not stat.S_IMODE(file.stat().st_mode) & 0o137
    assert rules_of_the_bridge(acl)[2:] == RULES
    assert reloaded == [Path("broker.pid")]


def test_a_key_that_there_is_is_never_shown_again(file, acl, reloaded, capsys):
    main(["keys", "add", "kitchen", "--acl", str(acl)])
    before = file.read_text(), acl.read_text()
    capsys.readouterr()

    assert main(["keys", "add", "kitchen", "--acl", str(acl)]) == 1
    assert main(["keys", "list"]) == 0
    assert main(["keys", "list", "--json"]) == 0

    shown = capsys.readouterr()
    assert "ev_" not in shown.out
    assert "edgevoice keys rotate kitchen" in shown.err
    assert (file.read_text(), acl.read_text()) == before
    assert len(reloaded) == 1


def test_a_new_secret_for_a_key(file, acl, reloaded, capsys):
    main(["keys", "add", "kitchen", "--operator", "--acl", str(acl)])
    former = capsys.readouterr().out.strip()

    assert main(["keys", "rotate", "kitchen", "--acl", str(acl)]) == 0

    key = capsys.readouterr().out.strip()
    [stored] = parse_keys(file.read_text())
    assert key != former
    assert (stored.digest, stored.operator) == (digest_of(key), True)
    assert rules_of_the_bridge(acl)[2:] == RULES
    assert len(reloaded) == 2  # the first time may have failed


def test_a_key_is_taken_away(file, acl, reloaded, capsys):
    for name in ("kitchen", "cellar"):
        main(["keys", "add", name, "--acl", str(acl)])
    assert main(["keys", "revoke", "cellar", "--acl", str(acl)]) == 0
    assert "last one" not in capsys.readouterr().err

    assert main(["keys", "revoke", "kitchen", "--acl", str(acl)]) == 0

    assert "nobody is let in" in capsys.readouterr().err
    assert parse_keys(file.read_text()) == ()
    assert acl.read_text() == (ROOT / "mosquitto" / "acl").read_text()
    assert len(reloaded) == 4
    assert main(["keys", "revoke", "kitchen", "--acl", str(acl)]) == 1


def test_what_list_shows(file, acl, reloaded, capsys):
    assert main(["keys", "list"]) == 0
    assert "loopback needs none" in capsys.readouterr().out
    main(["keys", "add", "kitchen", "--acl", str(acl)])
    main(["keys", "add", "boss", "--operator", "--acl", str(acl)])
    capsys.readouterr()

    main(["keys", "list"])
    assert [line.split()[::3] for line in capsys.readouterr().out.splitlines()] == [["kitchen"], ["boss", "operator"]]
    main(["keys", "list", "--json"])
    assert [(key["client"], key["operator"]) for key in json.loads(capsys.readouterr().out)] == [
        ("http-kitchen", False),
        ("http-boss", True),
    ]
    assert len(file.read_text().splitlines()) == 3
    assert len(reloaded) == 2


@pytest.mark.usefixtures("file")
def test_without_the_right_to_its_files_it_says_what_the_broker_needs(tmp_path, reloaded, capsys):
    assert main(["keys", "add", "kitchen", "--acl", str(tmp_path / "none" / "acl")]) == 1

    shown = capsys.readouterr()
    assert shown.out.startswith("ev_kitchen_")
    for line in (*RULES, "`user bridge`", "systemctl reload mosquitto"):
        assert line in shown.err
    assert not reloaded


@pytest.mark.usefixtures("file")
def test_a_broker_that_is_not_told_is_no_secret(acl, tmp_path, capsys):
    assert main(["keys", "add", "kitchen", "--acl", str(acl), "--pid-file", str(tmp_path / "none")]) == 1

    assert "systemctl reload mosquitto" in capsys.readouterr().err
    assert rules_of_the_bridge(acl)[2:] == RULES


@pytest.mark.usefixtures("file")
def test_a_broker_on_another_machine(reloaded, capsys):
    assert main(["keys", "add", "kitchen", "--no-broker"]) == 0

    said = capsys.readouterr().err
    assert all(line in said for line in RULES)
    assert not reloaded


@pytest.mark.usefixtures("reloaded")
def test_rules_follow_the_settings(file, acl, monkeypatch):
    monkeypatch.setenv("EDGEVOICE_BRIDGE_BASE", "home/v1")
    monkeypatch.setenv("EDGEVOICE_BRIDGE_MQTT__USERNAME", "gateway")

    main(["keys", "add", "kitchen", "--acl", str(acl)])

    assert acl.read_text().endswith(
        "\nuser gateway\ntopic write home/v1/+/request/http-kitchen/#\ntopic read home/v1/+/reply/http-kitchen/#\n"
    )
    assert file.exists()


@pytest.mark.parametrize("name", ["", "a/b", "#", "a b", "x" * 60])
def test_a_name_that_is_no_level_of_a_topic(name, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["keys", "add", name])
    assert exit_.value.code == 2
    assert "no name for a key" in capsys.readouterr().err


def test_a_file_that_was_spoilt_is_left_alone(file, acl, capsys):
    file.parent.mkdir()
    file.write_text("nonsense\n")

    assert main(["keys", "add", "kitchen", "--acl", str(acl)]) == 1

    assert f"{file}: line 1" in capsys.readouterr().err
    assert file.read_text() == "nonsense\n"


def test_keys_that_are_made_at_once_are_all_kept(file, acl):
    names = [f"k{number}" for number in range(6)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "agent", "keys", "add", name, "--acl", str(acl), "--pid-file", "none"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name in names
    ]
    for process in running:
        assert process.wait() == 1  # the broker was not told

    assert {key.name for key in parse_keys(file.read_text())} == set(names)
    assert len(rules_of_the_bridge(acl)) == 2 + 2 * len(names)


@pytest.mark.parametrize("action", ["add", "rotate", "revoke", "list"])
def test_every_action_explains_itself(action, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["keys", action, "--help"])
    assert exit_.value.code == 0
    assert "--file" in capsys.readouterr().out
