"""Nothing leaves the machine: the demo answers where there is no network but the loopback."""

import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.embedded

ALONE = ["unshare", "--net"]
BEGIN = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:  # `ip link set lo up`, which not every machine has
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH", b"lo", 0x1))
os.execv(sys.executable, [sys.executable, "-m", "agent", "demo", "--out", sys.argv[1]])
"""


@pytest.mark.skipif(
    not shutil.which("unshare") or subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode != 0,
    reason="only root may make a network of its own, and not everywhere",
)
def test_the_demo_needs_no_network(tmp_path):
    """Rows 0.10, 1.1, 1.19, 1.23"""
    pytest.importorskip("pocketsphinx", reason="the embedded extra is not installed")
    demo = [*ALONE, sys.executable, "-c", BEGIN, str(tmp_path)]
    done = subprocess.run(demo, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Paris" in done.stdout
