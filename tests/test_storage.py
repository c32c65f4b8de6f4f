"""In a container, what lies on no volume is refused; anywhere else, nothing is."""

from pathlib import Path

import pytest

from agent.settings import JournalSettings, Settings
from agent.storage import EphemeralHomeError, check_home, in_container, lost_mount

MOUNTS = "proc/self/mountinfo"
DOCKER = """\
1 0 0:52 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/a:/b,upperdir=/c,workdir=/d
2 1 0:55 / /proc rw,nosuid - proc proc rw
3 1 0:56 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k
4 1 0:57 / /run rw - tmpfs tmpfs rw
5 1 259:1 /volumes/edgevoice/_data /var/lib/edgevoice rw,relatime master:5 - ext4 /dev/nvme0n1p1 rw
6 1 259:1 /home/me/with\\040space /data/with\\040space rw - ext4 /dev/nvme0n1p1 rw
7 5 0:58 / /var/lib/edgevoice/scratch rw - tmpfs tmpfs rw
8 1 0:59 / /nested rw - overlay overlay rw
9 1 0:60 / /twice rw - tmpfs tmpfs rw
10 1 259:1 /x /twice rw - ext4 /dev/nvme0n1p1 rw
"""


@pytest.fixture
def system(tmp_path):
    """Makes a root whose system files are those given."""

    def make(files):
        root = tmp_path / "root"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return root

    return make


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/ada/.local/share/edgevoice", "overlay"),
        ("/var/lib/edgevoice-other", "overlay"),
        ("/run/edgevoice", "tmpfs"),
        ("/var/lib/edgevoice/scratch/models", "tmpfs"),
        ("/var/lib/edgevoice", None),
        ("/var/lib/edgevoice/models", None),
        ("/data/with space/edgevoice", None),
        ("/data/with", "overlay"),
        ("/nested/edgevoice", None),
        ("/twice/edgevoice", None),
    ],
)
def test_what_is_on_a_volume_lasts(path, kind, system):
    mount = lost_mount(Path(path), system({MOUNTS: DOCKER}))

    assert (mount.kind if mount else None) == kind


def test_a_link_lasts_where_it_leads(tmp_path, system):
    (tmp_path / "link").symlink_to("/var/lib/edgevoice")

    assert lost_mount(tmp_path / "link" / "models", system({MOUNTS: DOCKER})) is None


@pytest.mark.parametrize("mountinfo", ["", "nonsense\n", "1 0 - overlay\n", "1 0 0:52 / / rw - ext4 /dev/sda rw\n"])
def test_what_is_not_known_is_not_refused(mountinfo, system):
    assert lost_mount(Path("/srv"), system({MOUNTS: mountinfo})) is None


def test_where_the_system_does_not_tell_nothing_is_refused(tmp_path):
    assert lost_mount(Path("/srv"), tmp_path) is None
    assert not in_container(tmp_path, {})


@pytest.mark.parametrize(
    ("environment", "cgroup", "expected"),
    [
        ({}, "0::/\n", False),
        ({}, "0::/init.scope\n", False),
        ({}, "0::/system.slice/docker-4f2a.scope\n", True),
        ({}, "11:memory:/kubepods/besteffort/pod1\n", True),
        ({"container": "podman"}, "0::/\n", True),
        ({"container": "oci"}, "0::/\n", True),
        ({"container": "systemd-nspawn"}, "0::/\n", False),
        ({"container": "lxc"}, "0::/\n", False),
    ],
)
def test_a_container_is_told_from_a_machine(environment, cgroup, expected, system):
    assert in_container(system({"proc/1/cgroup": cgroup}), environment) is expected


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv"])
def test_what_its_engine_leaves_tells_a_container(mark, system):
    assert in_container(system({"proc/1/cgroup": "0::/\n", mark: ""}), {})


@pytest.fixture
def docker(system):
    return system({".dockerenv": "", MOUNTS: DOCKER})


def test_a_home_that_would_be_lost_is_refused_with_what_helps(docker):
    with pytest.raises(EphemeralHomeError) as caught:
        check_home(Settings(home=Path("/opt/edgevoice"), allow_ephemeral=False), docker, {})

    told = str(caught.value)
    assert told.startswith("/opt/edgevoice is lost with this container (overlay at /): mount a volume there")
    assert "-v edgevoice:/opt/edgevoice" in told
    assert "EDGEVOICE_ALLOW_EPHEMERAL=true" in told
    assert "\n" not in told


def test_a_journal_that_would_be_lost_is_refused_too(docker):
    home, journal = Path("/var/lib/edgevoice"), JournalSettings(path=Path("/run/journal.db"))

    check_home(Settings(home=home, allow_ephemeral=False), docker, {})
    with pytest.raises(EphemeralHomeError, match=r"^/run is lost .*EDGEVOICE_JOURNAL__PATH"):
        check_home(Settings(home=home, journal=journal, allow_ephemeral=False), docker, {})


def test_what_may_be_lost_is_allowed(docker, monkeypatch):
    monkeypatch.setenv("EDGEVOICE_ALLOW_EPHEMERAL", "true")

    check_home(Settings(home=Path("/opt/edgevoice")), docker, {})


def test_a_machine_may_have_any_home(system):
    machine = system({"proc/1/cgroup": "0::/\n", MOUNTS: DOCKER})

    check_home(Settings(home=Path("/opt/edgevoice"), allow_ephemeral=False), machine, {})
