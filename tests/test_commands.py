"""The `edgevoice` command: its table, its errors, its settings, and a question asked with it."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from agent import __version__
from agent.__main__ import main
from agent.audio import decode_wav
from agent.commands import COMMANDS
from agent.commands.settings import template
from agent.contract.reply import Timings
from agent.demo.cases import CASES, Answer, BrokenAnswer, check
from agent.settings import Settings
from agent.settings_reading import load
from agent.signals import INTERRUPTED
from agent.stack import Part, Stack, StackSettings
from bridge.settings import BridgeSettings
from tests.wav_files import silence, sine, wav

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def test_the_table_and_the_modules_are_the_same():
    modules = {path.stem for path in (ROOT / "agent" / "commands").glob("[!_]*.py")}

    assert set(COMMANDS) == modules
    for name, meaning in COMMANDS.items():
        module = import_module(f"agent.commands.{name}")
        assert (module.__doc__ or "").strip() == meaning
        assert callable(module.add_arguments)
        assert callable(module.run)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([name, "--help"])

    assert exit_.value.code == 0
    assert COMMANDS[name].split()[0] in capsys.readouterr().out


def test_help_and_version(capsys):
    for argument in ("--help", "--version"):
        with pytest.raises(SystemExit) as exit_:
            main([argument])
        assert exit_.value.code == 0
    shown = capsys.readouterr().out
    assert __version__ in shown
    assert all(name in shown for name in COMMANDS)
    assert main([]) == 2


@pytest.mark.parametrize("name", ["EDGEVOICE_MQTT__PORT", "EDGEVOICE_BRIDGE_PORT"])
def test_a_wrong_setting_is_one_line_with_its_name(name, monkeypatch, capsys):
    monkeypatch.setenv(name, "many")

    assert main(["settings"]) == 78

    said = capsys.readouterr().err
    assert said.startswith(f"edgevoice: setting {name}: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", ["EDGEVOICE_STT", "EDGEVOICE_STT__OPTIONS", "EDGEVOICE_BRIDGE_MQTT"])
def test_a_setting_that_is_no_json_is_one_line_with_its_name(name, monkeypatch, capsys):
    monkeypatch.setenv(name, "nonsense")

    assert main(["settings"]) == 78

    said = capsys.readouterr().err
    assert said.startswith(f"edgevoice: setting {name}: JSON is expected")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        (".env", b"EDGEVOICE_NONSENSE=1", "setting EDGEVOICE_NONSENSE: unknown field"),
        (".env", b"\xff\xfe", ".env cannot be read"),
        ("edgevoice.toml", b"nonsense = 1", "setting EDGEVOICE_NONSENSE: unknown field"),
        ("edgevoice.toml", b"a = [", "edgevoice.toml cannot be read"),
        ("edgevoice.toml", b"\xff\xfe", "edgevoice.toml cannot be read"),
    ],
)
def test_a_wrong_file_of_settings_is_one_line_with_its_name(file, content, told, tmp_path, capsys):
    (tmp_path / file).write_bytes(content)

    assert main(["settings"]) == 78

    said = capsys.readouterr().err
    assert said.startswith(f"edgevoice: {told}")
    assert said.count("\n") == 1


def test_an_agent_whose_certificates_are_not_there_names_the_file(monkeypatch, capsys):
    monkeypatch.setenv("EDGEVOICE_MQTT__CA_FILE", "/nowhere/ca.pem")

    assert main(["agent"]) == 1
    assert "/nowhere/ca.pem" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "words or with --wav"),
        (["hi", "--wav", "x.wav"], "words or with --wav"),
        (["--wav", "none.wav"], "none.wav"),
        (["  "], "text"),
        (["hi", "--live"], "--live takes --wav"),
        (["--live", "--wav", "/dev/null"], "WAV file of PCM"),
        (["hi", "--reply", "audio", "--out", "/nowhere/a.wav"], "/nowhere/a.wav cannot be written"),
        (["hi", "--out", "/"], "/ cannot be written"),
        (["hi", "--port", "1", "--deadline-ms", "100"], "broker_unavailable"),
        (["hi", "--password-file", "none"], "none"),
    ],
)
def test_what_cannot_be_asked_is_one_line(arguments, reason, capsys):
    assert main(["ask", *arguments]) == 1

    said = capsys.readouterr().err
    assert reason in said
    assert said.startswith("edgevoice: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", "hi", "--agent", "#"],
        ["ask", "hi", "--agent", "a b"],
        ["ask", "hi", "--base", "a/#"],
        ["ask", "hi", "--user", "a/b"],
        ["ask", "hi", "--port", "99999"],
        ["ask", "hi", "--deadline-ms", "0"],
        ["ask", "hi", "--deadline-ms", "soon"],
        ["up", "--mqtt-port", "0"],
        ["up", "--http-port", "99999"],
    ],
)
def test_an_argument_that_cannot_be_meant_is_refused_by_name(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)

    assert exit_.value.code == 2
    *_, option, word = arguments
    assert f"error: argument {option}: '{word}': " in capsys.readouterr().err


def test_words_that_are_not_utf8_are_refused(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["ask", "\udcff\udcfe"])

    assert exit_.value.code == 2
    assert "not UTF-8" in capsys.readouterr().err


def test_ctrl_c_while_a_command_is_imported_is_no_traceback(monkeypatch):
    def interrupted(_name):
        raise KeyboardInterrupt

    monkeypatch.setattr("agent.__main__.import_module", interrupted)
    assert main(["status"]) == INTERRUPTED


def test_settings_are_all_shown_and_secrets_are_not(monkeypatch, capsys):
    monkeypatch.setenv("EDGEVOICE_MQTT__PASSWORD", "hunter2")
    monkeypatch.setenv("EDGEVOICE_MQTT__HOST", "broker.example")

    assert main(["settings"]) == 0

    shown = capsys.readouterr().out
    assert "hunter2" not in shown
    assert "EDGEVOICE_MQTT__HOST=broker.example   (default: 127.0.0.1)" in shown
    assert "Broker's host name or address." in shown
    assert "stt: pocketsphinx" in shown
    assert "EDGEVOICE_BRIDGE_PORT=8080\n    TCP port to listen on" in shown


def test_the_template_in_the_repository_is_the_one_the_settings_give():
    assert (ROOT / ".env.template").read_text(encoding="utf-8") == template(), "edgevoice settings --template"


def test_the_template_is_read_back_as_the_defaults(tmp_path):
    values = [line[2:] for line in template().splitlines() if line.startswith("# EDGEVOICE_")]
    given = [line for line in values if not line.endswith("=") and not line.startswith("EDGEVOICE_HOME=")]
    (tmp_path / ".env").write_text("\n".join(given))

    assert load() == Settings.model_construct()
    assert BridgeSettings() == BridgeSettings.model_construct()


def test_a_file_with_an_empty_name_is_one_that_is_left_out(tmp_path):
    files = [line[2:] for line in template().splitlines() if line.endswith(("_FILE=", "__PATH="))]
    (tmp_path / ".env").write_text("\n".join(files))

    assert load() == Settings.model_construct()
    assert BridgeSettings() == BridgeSettings.model_construct()


def test_python_m_agent_is_the_agent_where_no_command_is_given(monkeypatch):
    monkeypatch.setenv("EDGEVOICE_MQTT__PORT", "none at all")

    found = subprocess.run([sys.executable, "-m", "agent"], capture_output=True, text=True, check=False)

    assert found.returncode == 78
    assert "EDGEVOICE_MQTT__PORT" in found.stderr


@pytest.mark.anyio
async def test_a_question_and_its_spoken_answer(tmp_path):
    async with Stack(StackSettings.scripted(parts=(Part.BROKER, Part.AGENT))) as stack:
        password_file = str(stack.mqtt().password_file)
        broker = ["--port", str(stack.broker.port), "--user", "demo", "--password-file", password_file]
        live = ["--wav", "question.wav", "--live", "--stream"]
        for how in (["Hello", "--protocol", "3.1.1"], ["Hello", "--stream"], live):
            argv = [sys.executable, "-m", "agent", "ask", "--out", "heard.wav", *how, *broker]
            asking = await asyncio.create_subprocess_exec(
                *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            shown, said = await asking.communicate()
            assert asking.returncode == 0, said
            check_shown(shown.decode(), tmp_path / "heard.wav")
            (tmp_path / "heard.wav").rename(tmp_path / "question.wav")


def check_shown(shown, heard):
    lines = dict(line.split(maxsplit=1) for line in shown.splitlines())
    assert lines["answer"] == f"You said: {lines.get('heard', 'Hello')}"
    assert lines["speech"].startswith("heard.wav (")
    assert "scripted" in lines["engines"]
    assert "total" in lines["took"]
    speech = decode_wav(heard.read_bytes(), max_s=60)
    assert speech.duration_s > 0
    assert not speech.is_silent


@pytest.fixture
def up():
    """`edgevoice up` with scripted engines, once it is ready, and the `edgevoice ask` it printed."""
    scripted = {f"EDGEVOICE_{stage}": '{"name": "scripted"}' for stage in ("STT", "LLM", "TTS")}
    argv = [sys.executable, "-m", "agent", "up"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={**os.environ, **scripted}) as process:
        assert process.stdout
        shown = "".join(iter(process.stdout.readline, "Ctrl-C stops all of it.\n"))
        ask = re.search(r"^ +(EDGEVOICE_MQTT.* ask '.*')$", shown, re.MULTILINE)
        assert ask
        yield process, ask[1]
        process.terminate()


@pytest.mark.once
def test_a_killed_agent_is_started_again_and_answers(up):
    process, ask = up
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    agent = next(pid for pid in children if Path(f"/proc/{pid}/comm").read_text() == "edgevoice agent\n")
    os.kill(int(agent), signal.SIGKILL)

    assert process.stdout.readline() == "the agent ended with signal SIGKILL; it is started again\n"
    asked = subprocess.run(
        ["bash", "-c", f"until {ask}; do sleep 0.1; done"], capture_output=True, text=True, check=True
    )
    assert "You said: What is the capital of France?" in asked.stdout


@pytest.mark.once
def test_a_closed_terminal_ends_all_of_it_in_order(up):
    process, ask = up
    process.send_signal(signal.SIGHUP)

    assert process.wait(30) == 0
    password_file = re.search("PASSWORD_FILE=(.*?)/secrets", ask)
    assert password_file
    assert not Path(password_file[1]).exists()


def test_models_are_listed_and_one_that_is_not_there_cannot_be_had(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EDGEVOICE_HOME", str(tmp_path))

    assert main(["models", "list"]) == 0
    assert "smollm2-135m" in capsys.readouterr().out

    assert main(["models", "pull", "nothing"]) == 1
    assert "no model 'nothing'" in capsys.readouterr().err


SPOKEN = next(case for case in CASES if case.mode.heard)
GOOD_TEXT = "It is Berlin of course."


@pytest.mark.parametrize(
    ("text", "speech", "reason"),
    [
        (" ", wav(sine(seconds=2)), "empty answer"),
        (GOOD_TEXT, None, "no speech"),
        (GOOD_TEXT, b"RIFFnonsense", "not a WAV file"),
        (GOOD_TEXT, wav(silence(seconds=2)), "silent"),
        (GOOD_TEXT, wav(sine(seconds=0.1)), "cannot be 5 words"),
        (GOOD_TEXT, wav(sine(seconds=30)), "cannot be 5 words"),
    ],
)
def test_the_demo_tells_a_broken_answer_from_a_real_one(text, speech, reason):
    check(SPOKEN, Answer(GOOD_TEXT, Timings(), speech=wav(sine(seconds=2))))

    with pytest.raises(BrokenAnswer, match=reason):
        check(SPOKEN, Answer(text, Timings(), speech=speech))


def test_no_secret_of_an_engine_is_shown(monkeypatch, capsys):
    options = '{"base_url": "http://me:hush@127.0.0.1/v1", "extra_body": {"api_key": "hush"}}'
    monkeypatch.setenv("EDGEVOICE_LLM__OPTIONS", options)
    monkeypatch.setenv("EDGEVOICE_LLM__ENVIRONMENT", '{"OPENAI_API_KEY": "hush", "OMP_NUM_THREADS": "1"}')

    assert main(["settings"]) == 0

    shown = capsys.readouterr().out
    assert "hush" not in shown
    assert "OMP_NUM_THREADS" in shown
    assert "@127.0.0.1/v1" in shown
