"""A broker is told to read its files again, or the person is told how to do it."""

import os
import subprocess
import sys

import pytest

from agent.provision.files import ProvisionError
from agent.provision.reload import reload_broker


@pytest.mark.parametrize("content", ["", "no number", "999999999"])
def test_a_pid_file_that_leads_nowhere(tmp_path, content):
    pid_file = tmp_path / "pid"
    pid_file.write_text(content)

    with pytest.raises(ProvisionError, match="systemctl reload mosquitto"):
        reload_broker(pid_file)


def test_a_process_that_is_no_broker_is_left_alone(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        pid_file = tmp_path / "pid"
        pid_file.write_text(f"{bystander.pid}\n")

        with pytest.raises(ProvisionError, match="is no mosquitto"):
            reload_broker(pid_file)

        assert bystander.poll() is None
        bystander.communicate(b"\n")


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    """A systemctl of our own, first on PATH; says what it was called with."""

    def make(status):
        program = tmp_path / "bin" / "systemctl"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\necho broken >&2\nexit {status}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return tmp_path / "called"

    return make


def test_systemd_reloads_it(systemctl):
    called = systemctl(0)

    assert reload_broker() == "systemctl reload mosquitto.service"
    assert called.read_text() == "reload mosquitto.service\n"


def test_where_systemd_cannot_the_way_by_hand_is_told(systemctl, monkeypatch):
    systemctl(1)
    with pytest.raises(ProvisionError, match=r"broken.*by hand"):
        reload_broker()

    monkeypatch.setenv("PATH", "")
    with pytest.raises(ProvisionError, match="no systemd here"):
        reload_broker()
