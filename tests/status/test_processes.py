"""Who is found in /proc, and what is told of it."""

import os
import stat

import pytest

from agent.status.gpu import memory_of_processes
from agent.status.processes import running

PAGE, TICKS = os.sysconf("SC_PAGESIZE"), os.sysconf("SC_CLK_TCK")


@pytest.fixture
def proc(tmp_path):
    """Makes processes: each with its command line, and a name that is not easy to read."""

    def make(**cmdlines):
        for pid, (cmdline, comm) in enumerate(cmdlines.values(), 100):
            folder = tmp_path / str(pid)
            folder.mkdir()
            (folder / "cmdline").write_bytes(cmdline)
            (folder / "comm").write_text(f"{comm}\n")
            fields = ["S", "99", *["0"] * 9, str(3 * TICKS), str(2 * TICKS), *["0"] * 6, "0", *["0"] * 30]
            (folder / "stat").write_text(f"{pid} ({comm}) 1) {' '.join(fields)}\n")
            (folder / "statm").write_text("500 20 3 0 0 0 0\n")
        (tmp_path / "self").mkdir()
        (tmp_path / "200").mkdir()  # which has ended in the meantime
        return tmp_path

    return make


def test_ours_are_found_by_their_titles_and_the_broker_by_its_name(proc):
    found = running(
        proc(
            worker=(b"edgevoice bridge worker 1\0\0\0", "edgevoice bridg"),
            engine=(b"edgevoice engine stt whispercpp\0", "edgevoice engin"),
            agent=(b"edgevoice agent orin", "edgevoice agent"),
            broker=(b"/usr/sbin/mosquitto\0-c\0x.conf\0", "mosquitto"),
            client=(b"mosquitto_sub\0-t\0#\0", "mosquitto_sub"),
            editor=(b"vim\0edgevoice agent\0", "vim"),
            other=(b"edgevoice nonsense", "edgevoice nons"),
            kernel=(b"", "kthreadd"),
        )
    )
    assert [each.what for each in found] == ["broker", "agent orin", "engine stt whispercpp", "bridge worker 1"]
    agent = found[1]
    assert (agent.pid, agent.parent, agent.resident_bytes, agent.cpu_s) == (102, 99, 20 * PAGE, 5.0)
    assert agent.uptime_s > 0


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("echo '71, 512'; echo '72, 1'; echo '71, 3'", {71: 515 << 20, 72: 1 << 20}),
        ("echo '71, [N/A]'", {}),
        ("echo 'No devices were found'; exit 6", {}),
        ("echo", {}),
    ],
)
def test_what_nvidia_smi_tells(tmp_path, monkeypatch, said, taken):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{said}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert memory_of_processes() == taken


def test_nothing_is_told_without_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert memory_of_processes() == {}
