"""What README.md and the pages beside the code show is true: commands run as printed, and are answered."""

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

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BRIDGE = (ROOT / "bridge" / "README.md").read_text(encoding="utf-8")
OPENAI = (ROOT / "bridge" / "openai" / "README.md").read_text(encoding="utf-8")
TEMPLATES = (ROOT / "agent" / "templates" / "README.md").read_text(encoding="utf-8")
PAGES = [path for folder in ("agent", "bridge") for path in sorted((ROOT / folder).rglob("README.md"))]
SCRIPTED = {f"EDGEVOICE_{stage}": '{"name": "scripted"}' for stage in ("STT", "LLM", "TTS")}


def blocks(page, language="sh"):
    """The code of a page."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def block(page, within):
    """The first commands that have `within` among them."""
    return next(commands for commands in blocks(page) if within in commands)


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
    commands = "\n".join(blocks(README))
    assert set(re.findall(r"make (\w+)", commands)) <= {*targets, "git"}
    assert set(re.findall(r"edgevoice (\w+)", commands)) <= set(COMMANDS)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: str(page.parent.relative_to(ROOT)))
def test_the_files_it_names_are_there(page):
    for path in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / path).exists(), path


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


@pytest.fixture
def url(up):
    """Where the bridge is."""
    found = re.search(r"HTTP (http://\S+)", up)
    assert found
    return found[1]


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


def test_the_ways_to_ask_work_as_printed(up, url, tmp_path):
    home = re.search(r"XDG_CONFIG_HOME=(\S+)", up)
    assert home
    mqtt_block = (
        block(README, "mosquitto_rr").replace("&\n", "&\nsleep 0.5\n").replace("mosquitto_rr", "wait\nmosquitto_rr")
    )
    mqtt_block = re.sub(r"^export .*$", "", mqtt_block, flags=re.MULTILINE)
    broker = dict(re.findall(r"(EDGEVOICE_MQTT__\w+)=(\S+)", up))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    printed = shell(mqtt_block, tmp_path, XDG_CONFIG_HOME=home[1], PATH=path, **broker)
    asked, responded = (json.loads(line) for line in printed.splitlines() if line.startswith("{"))
    assert asked["text"] == "You said: What is the capital of France?"
    assert (responded["text"], "audio" in responded) == ("You said: Hi", True)
    curl_block = re.sub(r"^URL=.*$", f"URL={url}", block(README, "curl"), flags=re.MULTILINE)
    printed = shell(curl_block.replace("\ncurl", "\necho; curl"), tmp_path)
    replies = [json.loads(line) for line in printed.splitlines() if line.strip()]
    assert [reply["status"] for reply in replies] == ["ok"] * 3
    assert (tmp_path / "answer.wav").read_bytes()[:4] == b"RIFF"


def printed_lines(commands, folder, url):
    """What each of the `curl` commands prints, on a line of its own."""
    return shell(commands.replace("\ncurl", "\necho; curl"), folder, URL=url).splitlines()


def test_hearing_the_answer_as_it_comes_works_as_printed(url, tmp_path):
    printed = shell(block(BRIDGE, "text/event-stream"), tmp_path, URL=url)
    assert re.search(r'event: token\nid: \d+\ndata: .*\n\n(?s:.*)event: reply\ndata: .*"You said: Hi"', printed)
    with wave.open(str(tmp_path / "answer.wav")) as speech:
        assert speech.readframes(speech.getnframes())


def test_a_conversation_works_as_printed(url, tmp_path):
    told = [json.loads(line) for line in printed_lines(block(BRIDGE, "session_id"), tmp_path, url)]
    assert [message["content"] for message in told[2]["messages"][::2]] == ["My name is Ada.", "What is my name?"]
    assert told[3]["turns"] == 0


def test_prompt_templates_work_as_printed(url, tmp_path):
    told = printed_lines(block(TEMPLATES, "/render"), tmp_path, url)
    templates, shown, rendered, asked = (json.loads(line) for line in told)
    assert shown["name"] in {template["name"] for template in templates["templates"]}
    assert shown["needs"] == ["to"]
    assert asked["text"] == f"You said: {rendered['prompt']}"
    [prompted] = (json.loads(line) for line in printed_lines(block(TEMPLATES, "/prompt"), tmp_path, url))
    assert (prompted["status"], prompted["text"]) == ("ok", "You said: Once upon a time")


def test_operators_change_templates_as_printed(up, tmp_path):
    [operator] = (line for line in up.splitlines() if line.endswith("templates list"))
    broker = dict(re.findall(r"(EDGEVOICE_MQTT__\w+)=(\S+)", operator))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    edit = "sed -i s/alone/only/"
    printed = shell(block(TEMPLATES, "edgevoice"), tmp_path, PATH=path, EDITOR=edit, **broker).splitlines()
    assert {"translate is version 1", "--- translate as shipped", "+++ translate version 1"} < set(printed)
    assert printed[-1] == "translate is as shipped"


def test_asking_without_waiting_works_as_printed(url, tmp_path):
    told = printed_lines(block(BRIDGE, "respond-async"), tmp_path, url)
    receipt, found, stopped = (json.loads(line) for line in told)
    assert receipt["id"] == found["id"] == stopped["id"] == "q1"
    assert stopped["reply"]["text"] == "You said: Hi"


def test_the_python_shown_works(up):
    port = re.search(r"Broker 127\.0\.0\.1:(\d+)", up)
    home = re.search(r"XDG_CONFIG_HOME=(\S+)", up)
    assert port
    assert home
    shown = blocks(README, "python")[0]
    program = shown.replace("port=1883", f"port={port[1]}").replace("demo.password", f"{home[1]}/password")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert done.stdout.strip() == "You said: What is the capital of France?", done.stderr


def test_openais_routes_work_as_printed(url, tmp_path):
    *told, _, _, times, _ = printed_lines(block(OPENAI, "/chat/completions"), tmp_path, url)
    models, answer, array = (json.loads(line) for line in told)
    assert times.startswith("00:00:00,000 --> ")
    assert models["data"][0]["id"] == "default"
    assert answer["choices"][0]["message"]["content"] == array[-1]["content"] == "You said: Hi"


@pytest.mark.parametrize(("library", "page"), [("openai", README), ("langchain_openai", OPENAI)])
def test_openais_clients_work_as_printed(url, library, page):
    if not find_spec(library):
        pytest.skip(f"{library} is not installed")
    shown = next(program for program in blocks(page, "python") if f"from {library} import" in program)
    program = shown.replace("http://127.0.0.1:8080", url)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.rstrip("\n") == "You said: What is the capital of France?", done.stderr
