"""What README.md shows is true: its topics are the contract's, its commands run as printed and answer."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import wave
from importlib.util import find_spec
from pathlib import Path

import pytest

from agent.commands import COMMANDS
from agent.contract.terms import Operation, ReplyMode
from agent.contract.topics import Topics
from agent.engines.registry import ENGINES
from tests.wav_files import sine, wav

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
SCRIPTED = {f"EDGEVOICE_{stage}": '{"name": "scripted"}' for stage in ("STT", "LLM", "TTS")}


def rows(page, before):
    """First cells of the table whose header begins with `before`."""
    table = page.split(f"| {before}", 1)[1].split("\n\n", 1)[0]
    return [line.split("|")[1].strip().strip("`") for line in table.splitlines()[2:]]


def test_the_topics_are_those_of_the_contract():
    contract = (ROOT / "agent" / "contract" / "README.md").read_text(encoding="utf-8")
    assert rows(README, "topic") == rows(contract, "topic")
    topics = Topics("edgevoice/v1", "{agent}")
    built = [topics.request("{client}", operation) for operation in Operation]
    built += [topics.wav("{client}", "{id}", ReplyMode.TEXT).replace("/text", "/{reply_mode}")]
    assert {topic.removeprefix("edgevoice/v1/") for topic in built} <= set(rows(README, "topic"))


def test_every_engine_but_the_scripted_one_has_a_row():
    table = README.split("| stage | engine", 1)[1].split("\n\n", 1)[0]
    for engines in ENGINES.values():
        assert [name for name in engines if name != "scripted" and f"`{name}`" not in table] == []


def test_the_commands_exist():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"make (\w+)", "\n".join(BLOCKS))) <= {*targets, "git"}
    assert set(re.findall(r"edgevoice (\w+)", "\n".join(BLOCKS))) <= set(COMMANDS)


def test_the_files_it_names_are_there():
    for path in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / path).exists(), path


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    """`edgevoice up` with scripted engines: what it prints, and after the tests, that Ctrl-C ends it cleanly."""
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", "up"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **SCRIPTED},
        cwd=tmp_path_factory.mktemp("elsewhere"),
    )
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("Ctrl-C"):
            break
    yield "\n".join(lines)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    process.stdout.close()
    folder = re.search(r"XDG_CONFIG_HOME=(\S+)/secrets", "\n".join(lines))
    assert folder
    assert not Path(folder[1]).exists()


def shell(script, folder, **environment):
    """What `script` prints; it must succeed."""
    done = subprocess.run(
        ["bash", "-ec", script],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_what_up_prints_works_as_printed(up, tmp_path):
    assert shutil.which("mosquitto_rr"), "apt-get install mosquitto-clients"
    commands = [
        line.strip() for line in up.splitlines() if line.startswith(("  XDG_CONFIG_HOME", "  EDGEVOICE", "  curl"))
    ]
    listen, publish, respond, ask, templates, curl = commands
    for script in (f"{listen}\nsleep 0.5\n{publish}\nwait", respond, curl):
        assert json.loads(shell(script, tmp_path))["text"] == "You said: What is the capital of France?"
    assert "answer   You said: What is the capital of France?" in shell(ask, tmp_path)
    assert "translate" in shell(templates, tmp_path)


def test_the_ways_to_ask_work_as_printed(up, tmp_path):
    home = re.search(r"XDG_CONFIG_HOME=(\S+)", up)
    url = re.search(r"HTTP (http://\S+)", up)
    assert home
    assert url
    mqtt_block = next(block for block in BLOCKS if "mosquitto_rr" in block)
    mqtt_block = mqtt_block.replace("&\n", "&\nsleep 0.5\n").replace("mosquitto_rr", "wait\nmosquitto_rr")
    mqtt_block = re.sub(r"^export .*$", "", mqtt_block, flags=re.MULTILINE)
    broker = dict(re.findall(r"(EDGEVOICE_MQTT__\w+)=(\S+)", up))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    printed = shell(mqtt_block, tmp_path, XDG_CONFIG_HOME=home[1], PATH=path, **broker)
    asked, responded = (json.loads(line) for line in printed.splitlines() if line.startswith("{"))
    assert asked["text"] == "You said: What is the capital of France?"
    assert (responded["text"], "audio" in responded) == ("You said: Hi", True)
    curl_block = next(block for block in BLOCKS if "curl" in block)
    curl_block = re.sub(r"^URL=.*$", f"URL={url[1]}", curl_block, flags=re.MULTILINE)
    printed = shell(curl_block.replace("\ncurl", "\necho; curl"), tmp_path)
    replies = [json.loads(line) for line in printed.splitlines() if line.strip()]
    assert [reply["status"] for reply in replies] == ["ok"] * 3
    assert (tmp_path / "answer.wav").read_bytes()[:4] == b"RIFF"


def test_hearing_the_answer_as_it_comes_works_as_printed(up, tmp_path):
    url = re.search(r"HTTP (http://\S+)", up)
    assert url
    block = next(block for block in BLOCKS if "text/event-stream" in block)
    printed = shell(block, tmp_path, URL=url[1])
    assert re.search(r'event: token\nid: \d+\ndata: .*\n\n(?s:.*)event: reply\ndata: .*"You said: Hi"', printed)
    with wave.open(str(tmp_path / "answer.wav")) as speech:
        assert speech.readframes(speech.getnframes())


def test_prompt_templates_work_as_printed(up, tmp_path):
    url = re.search(r"HTTP (http://\S+)", up)
    assert url
    block = next(block for block in BLOCKS if "/prompt" in block).replace("\ncurl", "\necho; curl")
    shown, rendered, asked, prompted = (json.loads(line) for line in shell(block, tmp_path, URL=url[1]).splitlines())
    assert shown["needs"] == ["to"]
    assert asked["text"] == f"You said: {rendered['prompt']}"
    assert (prompted["status"], prompted["text"]) == ("ok", "You said: Once upon a time")


def test_asking_without_waiting_works_as_printed(up, tmp_path):
    url = re.search(r"HTTP (http://\S+)", up)
    assert url
    block = next(block for block in BLOCKS if "respond-async" in block).replace("\ncurl", "\necho; curl")
    receipt, found, stopped = (json.loads(line) for line in shell(block, tmp_path, URL=url[1]).splitlines())
    assert receipt["id"] == found["id"] == stopped["id"] == "q1"
    assert stopped["reply"]["text"] == "You said: Hi"


def test_the_python_shown_works(up):
    port = re.search(r"Broker 127\.0\.0\.1:(\d+)", up)
    home = re.search(r"XDG_CONFIG_HOME=(\S+)", up)
    assert port
    assert home
    shown = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert shown
    program = shown[1].replace("port=1883", f"port={port[1]}").replace("demo.password", f"{home[1]}/password")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert done.stdout.strip() == "You said: What is the capital of France?", done.stderr


def test_openais_chat_works_as_printed(up, tmp_path):
    url = re.search(r"HTTP (http://\S+)", up)
    assert url
    block = next(block for block in BLOCKS if "/chat/completions" in block).replace("\ncurl", "\necho; curl")
    (tmp_path / "question.wav").write_bytes(wav(sine(seconds=0.5)))
    *told, _, times, _ = shell(block, tmp_path, URL=url[1]).splitlines()
    models, answer, array = (json.loads(line) for line in told)
    assert times.startswith("00:00:00,000 --> ")
    assert models["data"][0]["id"] == "default"
    assert answer["choices"][0]["message"]["content"] == array[-1]["content"] == "You said: Hi"


@pytest.mark.parametrize("library", ["openai", "langchain_openai"])
def test_openais_clients_work_as_printed(up, library):
    if not find_spec(library):
        pytest.skip(f"{library} is not installed")
    url = re.search(r"HTTP (http://\S+)", up)
    programs = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    shown = next(program for program in programs if f"from {library} import" in program)
    assert url
    program = shown.replace("http://127.0.0.1:8080", url[1])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.rstrip("\n") == "You said: What is the capital of France?", done.stderr
