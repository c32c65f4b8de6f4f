"""`edgevoice doctor`: a line a finding, a fix for each that is not ok, an exit status, and no secrets."""

import json
import subprocess
import sys
import threading

import pytest

from agent.__main__ import main
from agent.doctor.checks import CHECKS
from agent.doctor.examine import Check, examine
from agent.doctor.finding import Level, ok

SCRIPTED = {f"EDGEVOICE_{stage}": '{"name": "scripted"}' for stage in ("STT", "LLM", "TTS")}


@pytest.fixture
def _scripted(monkeypatch, tmp_path):
    """Settings that can be met anywhere."""
    anywhere = {"EDGEVOICE_HOME": str(tmp_path), "EDGEVOICE_BRIDGE_PORT": "0", "EDGEVOICE_ALLOW_EPHEMERAL": "true"}
    for name, value in {**SCRIPTED, **anywhere}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("_scripted")
def test_on_a_machine_that_meets_its_settings_nothing_fails(doctor):
    status, findings = doctor("--no-broker")

    assert status == 0
    assert [finding for finding in findings if finding["level"] == "fail"] == []
    assert {"settings", "python", "packages base", "gpu", "stt", "llm", "tts", "home", "disk", "bridge port"} <= {
        finding["name"] for finding in findings
    }


@pytest.mark.usefixtures("_scripted")
def test_each_line_says_how_bad_it_is_and_the_next_one_what_to_do(capsys, monkeypatch):
    monkeypatch.setenv("EDGEVOICE_LLM", '{"name": "llamacpp", "options": {"model": "/nowhere/model.gguf"}}')

    assert main(["doctor", "--no-broker"]) == 1

    *lines, last = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == {"ok", "warn", "fail", "fix:"}
    bad = next(at for at, line in enumerate(lines) if line.startswith("fail"))
    assert "fail  llm" in lines[bad]
    assert lines[bad + 1].startswith("      fix:  ")
    assert last.endswith("1 fail")


def test_whatever_is_not_ok_has_a_fix(doctor):
    _, findings = doctor()

    assert all(finding["fix"] for finding in findings if finding["level"] != "ok")
    assert all(finding["message"].splitlines() == [finding["message"]] for finding in findings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("EDGEVOICE_MQTT__PORT", "many"), ("EDGEVOICE_STT", "nonsense"), ("EDGEVOICE_BRIDGE_PORT", "many")],
)
def test_settings_that_cannot_be_read_are_one_line_and_the_rest_is_looked_at(name, value, monkeypatch, doctor):
    monkeypatch.setenv(name, value)

    status, findings = doctor("--no-broker")

    assert status == 1
    broken = [finding for finding in findings if finding["level"] == "fail" and "settings" in finding["name"]]
    assert len(broken) == 1
    assert name in broken[0]["message"]
    assert "packages base" in {finding["name"] for finding in findings}


@pytest.mark.usefixtures("_scripted")
def test_secrets_are_not_shown(monkeypatch, tmp_path, capsys):
    (tmp_path / "bridge.password").write_text("correct-horse\n")
    for name, value in {
        "EDGEVOICE_MQTT__PASSWORD": "hunter2-hunter2",
        "EDGEVOICE_MQTT__PORT": "1",
        "EDGEVOICE_BRIDGE_MQTT__PASSWORD_FILE": str(tmp_path / "bridge.password"),
        "HF_TOKEN": "hf_secret_of_mine",
    }.items():
        monkeypatch.setenv(name, value)

    assert main(["doctor"]) == 1
    assert main(["doctor", "--json"]) == 1

    said = capsys.readouterr()
    for secret in ("hunter2-hunter2", "correct-horse", "hf_secret_of_mine"):
        assert secret not in said.out + said.err


def test_a_package_that_is_missing_keeps_nothing_else_from_being_looked_at():
    program = "import sys; sys.modules['numpy'] = None; from agent.__main__ import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", program, "doctor", "--json", "--no-broker"]

    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (1, "")
    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert "numpy" in found["engines"]["message"]
    assert {"python", "gpu", "home", "systemd"} <= found.keys()


def test_a_check_that_breaks_is_a_finding_and_keeps_what_it_found(site):
    def breaks(_):
        yield ok("first", "found")
        raise RuntimeError("two\nlines")

    found = list(examine(site(), {"broken": Check(breaks), "good": Check(lambda _: iter([ok("good", "yes")]))}))

    assert [(finding.name, finding.level) for finding in found] == [
        ("first", Level.OK),
        ("broken", Level.FAIL),
        ("good", Level.OK),
    ]
    assert "RuntimeError: two lines" in found[1].message


def test_a_check_that_hangs_is_given_up(site):
    forever = threading.Event()

    def hangs(_):
        yield ok("first", "found")
        forever.wait()

    found = list(examine(site(), {"slow": Check(hangs, limit_s=0.05)}))
    forever.set()

    assert [finding.level for finding in found] == [Level.OK, Level.FAIL]
    assert "no result within 0.05 s" in found[1].message


def test_without_a_broker_nothing_is_connected_to(doctor):
    _, findings = doctor("--no-broker")

    assert CHECKS["broker"].network
    assert not [finding for finding in findings if finding["name"].startswith("broker")]


def test_json_is_a_list_of_objects(capsys):
    main(["doctor", "--json", "--no-broker"])

    findings = json.loads(capsys.readouterr().out)
    assert {frozenset(finding) for finding in findings} == {frozenset({"name", "level", "message", "fix"})}
    assert {finding["level"] for finding in findings} <= {"ok", "warn", "fail"}
