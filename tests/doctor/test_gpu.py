"""What is said of a Jetson, of a card and of neither, from the files of a machine that is a folder."""

import os

import pytest

from agent.doctor import gpu
from agent.doctor.finding import Level
from agent.settings import Settings

BOARD = {"proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0"}
L4T = (
    "# R{} (release), REVISION: {}, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n"
)
JETSON = {
    **BOARD,
    "etc/nv_tegra_release": L4T.format(36, "4.3"),
    "dev/nvmap": "",
    "dev/nvhost-gpu": "",
    "dev/dri/renderD128": "",
    "usr/local/cuda-12.6/targets/aarch64-linux/lib/libcudart.so.12.6.68": "",
    "usr/local/cuda-12.6/targets/aarch64-linux/lib/libcudart.so.12": "",
    "usr/local/cuda/bin/nvcc": "#!/bin/sh\necho 'Cuda compilation tools, release 12.6, V12.6.68'\n",
}
SMI = "#!/bin/sh\necho '{}'\nexit {}\n"
CARD = {
    "dev/nvidia0": "",
    "dev/nvidiactl": "",
    "usr/bin/nvidia-smi": SMI.format("NVIDIA H200, 143771, 143000, 570.86, 9.0", 0),
}


def found(site):
    return {finding.name: finding for finding in gpu.check(site)}


def test_without_a_gpu_there_is_nothing_to_mend(site):
    (only,) = gpu.check(site())

    assert only.level is Level.OK
    assert "no NVIDIA GPU" in only.message


def test_a_jetson_in_order(site):
    here = site(JETSON)
    here.file("/usr/local/cuda/bin/nvcc").chmod(0o755)

    findings = found(here)

    assert {name: finding.level.value for name, finding in findings.items()} == {
        "jetpack": "ok",
        "gpu nodes": "ok",
        "cuda": "ok",
    }
    assert findings["jetpack"].message == "NVIDIA Jetson AGX Orin Developer Kit, L4T 36.4.3, JetPack 6"
    assert findings["cuda"].message == "CUDA runtime 12.6.68, compiler 12.6"


def test_an_old_jetpack(site):
    findings = found(site({**JETSON, "etc/nv_tegra_release": L4T.format(35, "4.1")}))

    assert findings["jetpack"].level is Level.WARN
    assert "L4T 35.4.1, JetPack 5" in findings["jetpack"].message


def test_a_container_on_a_jetson_that_was_given_nothing(site):
    findings = found(site(BOARD))

    assert {name: finding.level.value for name, finding in findings.items()} == {
        "jetpack": "warn",
        "gpu nodes": "warn",
        "cuda": "warn",
    }
    assert "docker run --runtime nvidia" in (findings["gpu nodes"].fix or "")
    assert findings["cuda"].fix == "sudo apt-get install nvidia-jetpack"


@pytest.mark.parametrize("member", [True, False])
def test_device_nodes_are_for_their_group(site, member):
    here = site(JETSON)
    for node in ("dev/nvmap", "dev/nvhost-gpu", "dev/dri/renderD128"):
        here.file(node).chmod(0o660)
    group = here.file("dev/nvmap").stat().st_gid
    other = os.stat(here.root).st_uid + 1  # noqa: PTH116 - anybody but who owns the files
    someone = site(JETSON, uid=other, groups=frozenset({group} if member else {group + 1}))

    nodes = found(someone)["gpu nodes"]

    assert nodes.level is (Level.OK if member else Level.WARN)
    assert member or ("sudo usermod -aG " in (nodes.fix or "") and "dev/nvmap" in nodes.message)


def test_a_card_in_order(site):
    findings = found(site(CARD))

    assert "NVIDIA H200, 143000 of 143771 MiB free" in findings["gpu"].message
    assert {finding.level for finding in findings.values()} == {Level.OK}


def test_a_card_whose_driver_does_not_answer(site):
    failing = SMI.format("NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.", 9)

    findings = found(site({**CARD, "usr/bin/nvidia-smi": failing}))

    assert findings["gpu"].level is Level.WARN
    assert "could not communicate" in findings["gpu"].message


def test_who_lets_mlc_compile_needs_a_compiler(site, tmp_path):
    asked = Settings.model_validate({"home": tmp_path, "llm": {"name": "mlc", "options": {"jit": True}}})

    findings = found(site({**JETSON, "usr/local/cuda/bin/nvcc": ""}, settings=asked))

    assert findings["cuda"].level is Level.WARN
    assert "nvcc" in findings["cuda"].message


@pytest.mark.parametrize(("vendor", "there"), [("0x10de", True), ("0x8086", False)])
def test_a_card_without_a_driver_is_seen_on_the_bus(site, vendor, there):
    bus = "sys/bus/pci/devices/0000:01:00.0"
    findings = found(site({f"{bus}/vendor": f"{vendor}\n", f"{bus}/class": "0x030200\n"}))

    assert (findings["gpu"].level is Level.WARN) is there
