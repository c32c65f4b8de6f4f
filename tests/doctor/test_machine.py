"""Engines, memory, disk and ports: what is said of what the settings ask for, and of what is left for it."""

import http.server
import json
import shutil
import socket
import threading
from types import SimpleNamespace

import pytest

from agent.doctor import engines, ports, room
from agent.doctor.finding import Level
from agent.mqtt.settings import MqttSettings
from agent.settings import Settings
from agent.stack.ports import free_port

SCRIPTED = {"stt": {"name": "scripted"}, "llm": {"name": "scripted"}, "tts": {"name": "scripted"}}


def settings(home, **changes):
    return Settings.model_validate({"home": home, **SCRIPTED, **changes})


def found(findings):
    return {finding.name: finding for finding in findings}


def test_engines_that_can_be_loaded(site, tmp_path):
    findings = found(engines.check(site(settings=settings(tmp_path))))

    assert [findings[stage].message for stage in ("stt", "llm", "tts")] == ["scripted, as set"] * 3


def test_an_engine_is_a_failure_where_it_is_named(site, tmp_path):
    model = {"model": str(tmp_path / "none.gguf")}
    asked = settings(tmp_path, llm={"name": "llamacpp", "options": model}, tts={"name": "no-such"})

    findings = found(engines.check(site(settings=asked)))

    assert findings["llm"].level is Level.FAIL
    assert findings["llm"].fix
    assert findings["tts"].level is Level.FAIL
    assert "no tts engine 'no-such'" in findings["tts"].message


def test_an_engine_of_our_own_choice_is_a_warning(site, tmp_path):
    findings = found(engines.check(site(settings=settings(tmp_path, llm={"name": "auto"}))))

    assert findings["llm"].level is Level.WARN


def test_an_option_that_there_is_not_is_a_failure(site, tmp_path):
    findings = found(
        engines.check(site(settings=settings(tmp_path, llm={"name": "auto", "options": {"no_such_option": 1}})))
    )

    assert findings["llm"].level is Level.FAIL


def test_a_further_model_has_a_line_of_its_own(site, tmp_path):
    asked = settings(tmp_path, models={"big": {"name": "llamacpp", "options": {"model": "/none.gguf"}}})

    assert found(engines.check(site(settings=asked)))["models.big"].level is Level.FAIL


@pytest.mark.parametrize(("mib", "level"), [(100, Level.FAIL), (100_000, Level.OK)])
def test_memory_is_held_against_what_the_engines_need(site, tmp_path, mib, level):
    files = {"proc/meminfo": f"MemTotal: 9 kB\nMemAvailable: {mib * 1024} kB\n"}

    memory = found(engines.check(site(files, settings=settings(tmp_path))))["memory"]

    assert memory.level is level
    assert f"{mib} MiB available" in memory.message


def test_engines_that_run_already_are_not_counted_twice(site, tmp_path):
    files = {"proc/meminfo": "MemAvailable: 1024 kB\n", "proc/71/cmdline": "edgevoice engine llm llamacpp\0\0"}

    memory = found(engines.check(site(files, settings=settings(tmp_path))))["memory"]

    assert memory.level is Level.OK
    assert "run already" in memory.message


def test_a_home_that_is_there_and_one_that_is_to_be_made(site, tmp_path):
    there = found(room.check(site(settings=settings(tmp_path))))
    to_be_made = found(room.check(site(settings=settings(tmp_path / "a" / "b"))))

    assert (there["home"].level, there["disk"].level) == (Level.OK, Level.OK)
    assert to_be_made["home"].message.endswith("to be made")
    assert not (tmp_path / "a").exists()


def test_a_home_that_cannot_be_written(site, tmp_path):
    (tmp_path / "file").touch()
    below_a_file = found(room.check(site(settings=settings(tmp_path / "file" / "home"))))["home"]
    read_only = found(room.check(site(settings=settings("/proc"))))["home"]

    assert (below_a_file.level, read_only.level) == (Level.FAIL, Level.FAIL)
    assert "install -d" in (read_only.fix or "")


def test_a_journal_elsewhere_is_looked_at_too(site, tmp_path):
    asked = settings(tmp_path, journal={"path": "/proc/journal.db"})

    assert found(room.check(site(settings=asked)))["journal"].level is Level.FAIL


@pytest.mark.parametrize(("free", "level"), [(100, Level.FAIL), (1_000, Level.WARN), (9_000, Level.OK)])
def test_a_disk_that_is_full(site, tmp_path, monkeypatch, free, level):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free << 20))

    assert found(room.check(site(settings=settings(tmp_path))))["disk"].level is level


CONTAINER = {".dockerenv": "", "proc/self/mountinfo": "22 1 0:21 / / rw - overlay overlay rw\n"}
VOLUME = "23 22 8:1 / {} rw - ext4 /dev/sda1 rw\n"


@pytest.mark.parametrize(("volume", "allowed", "level"), [(0, 0, Level.FAIL), (1, 0, Level.OK), (0, 1, None)])
def test_a_home_that_is_lost_with_its_container(site, tmp_path, volume, allowed, level):
    mounts = CONTAINER["proc/self/mountinfo"] + (VOLUME.format(tmp_path) if volume else "")
    here = site(
        {**CONTAINER, "proc/self/mountinfo": mounts}, settings=settings(tmp_path, allow_ephemeral=bool(allowed))
    )

    storage = found(room.check(here)).get("storage")

    assert (storage.level if storage else None) is level


def bridge(port, host="127.0.0.1"):
    return SimpleNamespace(host=host, port=port, client="bridge", mqtt=MqttSettings())


def test_a_free_port(site):
    (free,) = ports.check(site(bridge=bridge(free_port())))

    assert free.level is Level.OK


def hang_up(server):
    connection, _ = server.accept()
    connection.close()


def test_a_port_that_is_taken_by_another_program(site):
    with socket.create_server(("127.0.0.1", 0)) as other:
        hanging_up = threading.Thread(target=hang_up, args=(other,))
        hanging_up.start()
        (taken,) = ports.check(site(bridge=bridge(other.getsockname()[1])))
        hanging_up.join()

    assert taken.level is Level.FAIL
    assert (taken.fix or "").startswith("ss -ltnp")


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        ({"ready": False, "missing": ["the broker"], "agent": "orin", "engines": {}}, Level.OK),
        ({"status": "ok"}, Level.FAIL),
    ],
)
def test_a_port_where_a_bridge_answers(site, answer, level):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(503)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.handle_request)
        serving.start()
        (found_,) = ports.check(site(bridge=bridge(server.server_port)))
        serving.join()

    assert found_.level is level


def test_an_address_that_is_not_ours(site):
    (elsewhere,) = ports.check(site(bridge=bridge(free_port(), host="192.0.2.1")))

    assert elsewhere.level is Level.FAIL
