"""How much memory is left: by the machine, and by a container's own limit."""

import pytest

from agent.memory import available_bytes, resident_bytes

MEMINFO = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text(MEMINFO)
    return tmp_path


def limit(root, maximum, used, *, below="", files=0):
    folder = root / "sys" / "fs" / "cgroup" / below
    folder.mkdir(parents=True)
    (folder / "memory.max").write_text(f"{maximum}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {files}\n")


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


def test_a_units_limit_counts_and_that_of_what_it_lies_in(root):
    (root / "proc" / "self").mkdir()
    (root / "proc" / "self" / "cgroup").write_text("0::/system.slice/edgevoice-agent.service\n")
    limit(root, "max", 1_000, below="system.slice/edgevoice-agent.service")
    limit(root, 7_000, 1_000, below="system.slice/other.service")
    assert available_bytes(root) == 8_000_000 * 1_024
    (root / "sys" / "fs" / "cgroup" / "system.slice" / "memory.max").write_text("5000\n")
    (root / "sys" / "fs" / "cgroup" / "system.slice" / "memory.current").write_text("1000\n")
    assert available_bytes(root) == 4_000


def test_what_the_kernel_keeps_of_files_is_not_lost(root):
    limit(root, 4_000, 3_500, files=3_000)
    assert available_bytes(root) == 3_500


def test_nobody_tells(tmp_path):
    assert available_bytes(tmp_path) is None


def test_of_this_machine():
    resident, available = resident_bytes(), available_bytes()
    assert resident
    assert available
    assert 0 < resident < available
