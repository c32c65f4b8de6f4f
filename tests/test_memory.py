"""How much memory is left: by the machine, and by a container's own limit."""

import pytest

from agent.memory import available_bytes, resident_bytes

MEMINFO = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text(MEMINFO)
    return tmp_path


def limit(root, maximum, used):
    folder = root / "sys" / "fs" / "cgroup"
    folder.mkdir(parents=True)
    (folder / "memory.max").write_text(f"{maximum}\n")
    (folder / "memory.current").write_text(f"{used}\n")


def test_the_machine_tells(root):
    assert available_bytes(root) == 8_000_000 * 1_024


def test_a_containers_limit_counts_where_it_is_tighter(root):
    limit(root, 4_000, 1_000)
    assert available_bytes(root) == 3_000


def test_a_container_over_its_limit_has_nothing_left(root):
    limit(root, 4_000, 5_000)
    assert available_bytes(root) == 0


def test_a_container_without_a_limit_has_what_the_machine_has(root):
    limit(root, "max", 1_000)
    assert available_bytes(root) == 8_000_000 * 1_024


def test_nobody_tells(tmp_path):
    assert available_bytes(tmp_path) is None


def test_of_this_machine():
    resident, available = resident_bytes(), available_bytes()
    assert resident
    assert available
    assert 0 < resident < available
