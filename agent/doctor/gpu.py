"""The NVIDIA GPU: Jetson or card, driver, CUDA, and whether this user may use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from agent.doctor.finding import Finding, ok, warn
from agent.doctor.site import Site

_RELEASE = re.compile(r"R(\d+) \(release\), REVISION: ([\d.]+)")
_JETPACK = {32: "4", 34: "5", 35: "5", 36: "6", 38: "7"}
"""Major release of L4T → of JetPack."""
_OLDEST_L4T = 36
_CUDART = re.compile(r"libcudart\.so\.(\d+(?:\.\d+)*)")
_CUDART_PLACES = (
    "usr/local/cuda*/lib64",
    "usr/local/cuda*/targets/*/lib",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
)
_JETSON_NODES = (
    "/dev/nvmap",
    "/dev/nvhost-gpu",
    "/dev/nvhost-ctrl-gpu",
    "/dev/nvgpu/igpu0/ctrl",
    "/dev/dri/renderD128",
)
_CARD_NODES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm")
_SMI_FIELDS = "name,memory.total,memory.free,driver_version,compute_cap"
_SMI_S = 4.0
_NVIDIA = "0x10de"
_DISPLAY = ("0x0300", "0x0302")
_READ_WRITE = 0o006


def has_nvidia(site: Site) -> bool:
    """Whether there is a GPU of NVIDIA, usable or not."""
    return is_jetson(site) or _card_is_there(site)


def is_jetson(site: Site) -> bool:
    """Whether this is a Jetson: its own release file, or the name of its board."""
    return site.file("/etc/nv_tegra_release").exists() or _board(site) is not None


def check(site: Site) -> Iterator[Finding]:
    """Nothing to mend where there is no GPU."""
    if is_jetson(site):
        yield _jetpack(site)
        yield _nodes(site, _JETSON_NODES)
    elif _card_is_there(site):
        yield from _card(site)
    else:
        yield ok("gpu", "no NVIDIA GPU: engines run on the CPU")
        return
    yield _cuda(site)


def _board(site: Site) -> str | None:
    model = site.text("/proc/device-tree/model")
    return model if model and ("jetson" in model.lower() or "nvidia" in model.lower()) else None


def _jetpack(site: Site) -> Finding:
    board = _board(site) or "a Jetson"
    release = _RELEASE.search(site.text("/etc/nv_tegra_release") or "")
    if release is None:
        message = f"{board}, whose release cannot be told: /etc/nv_tegra_release is not there, as in a bare container"
        return warn(
            "jetpack", message, "docker run --runtime nvidia --volume /etc/nv_tegra_release:/etc/nv_tegra_release:ro …"
        )
    major = int(release[1])
    found = f"{board}, L4T {major}.{release[2]}, JetPack {_JETPACK.get(major, '(unknown)')}"
    if major < _OLDEST_L4T:
        return warn(
            "jetpack", f"{found}; MLC LLM of today needs JetPack 6", "cat /etc/nv_tegra_release   # flash JetPack 6"
        )
    return ok("jetpack", found)


def _card_is_there(site: Site) -> bool:
    if any(site.file(node).exists() for node in _CARD_NODES) or site.file("/proc/driver/nvidia/version").exists():
        return True
    devices = site.file("/sys/bus/pci/devices").glob("*/vendor")
    return any(_read(vendor) == _NVIDIA and _read(vendor.with_name("class")).startswith(_DISPLAY) for vendor in devices)


def _card(site: Site) -> Iterator[Finding]:
    smi = site.program("nvidia-smi")
    if smi is None:
        message = "an NVIDIA card without its driver's nvidia-smi"
        yield warn("gpu", message, "sudo apt-get install nvidia-driver   # in a container: docker run --gpus all …")
        return
    said = site.output([smi, f"--query-gpu={_SMI_FIELDS}", "--format=csv,noheader,nounits"], timeout_s=_SMI_S)
    if said.returncode:
        message = f"nvidia-smi fails: {said.stdout.strip() or said.stderr.strip() or 'without a word'}"
        yield warn("gpu", message, "sudo modprobe nvidia   # after an update of the driver: sudo reboot")
        return
    for line in said.stdout.splitlines():
        name, total, free, driver, capability = (part.strip() for part in line.split(","))
        yield ok("gpu", f"{name}, {free} of {total} MiB free, compute capability {capability}, driver {driver}")
    yield _nodes(site, _CARD_NODES)


def _nodes(site: Site, names: tuple[str, ...]) -> Finding:
    """Whether this user may use the device nodes that are there."""
    nodes = [name for name in names if site.file(name).exists()]
    if not nodes:
        message = (
            f"a GPU without device nodes, such as {names[0]}: its driver is not loaded, or kept out of a container"
        )
        return warn("gpu nodes", message, "docker run --runtime nvidia …   # outside a container: sudo modprobe nvidia")
    if closed := [name for name in nodes if not _may_use(site, site.file(name))]:
        groups = ",".join(sorted({_group(site.file(name)) for name in closed} - {"root"})) or "video,render"
        message = f"this user may not use {', '.join(closed)}; members of {groups} may"
        return warn("gpu nodes", message, f'sudo usermod -aG {groups} "$USER"   # then log in again')
    return ok("gpu nodes", f"this user may use {', '.join(nodes)}")


def _may_use(site: Site, node: Path) -> bool:
    found = node.stat()
    if site.uid in (0, found.st_uid):
        return True
    bits = _READ_WRITE << 3 if found.st_gid in site.groups else _READ_WRITE
    return found.st_mode & bits == bits


def _group(node: Path) -> str:
    try:
        return node.group()
    except KeyError:  # the host's group has no name in the container
        return str(node.stat().st_gid)


def _cuda(site: Site) -> Finding:
    nvcc, runtime = _nvcc(site), _runtime(site)
    compiler = f"compiler {nvcc}" if nvcc else "no compiler (nvcc), which only compiling models needs"
    if nvcc is None and any(engine.options.get("jit") for engine in site.stages.values()):
        message = "no CUDA compiler (nvcc), and the settings let MLC compile its model here (`jit`)"
        return warn("cuda", message, "sudo apt-get install cuda-toolkit   # on a Jetson: nvidia-jetpack")
    if runtime:
        return ok("cuda", f"CUDA runtime {runtime}, {compiler}")
    if is_jetson(site):
        return warn("cuda", f"no CUDA runtime (libcudart.so), {compiler}", "sudo apt-get install nvidia-jetpack")
    return ok("cuda", f"no CUDA runtime of the system; packages may bring their own; {compiler}")


def _nvcc(site: Site) -> str | None:
    nvcc = site.program("nvcc", "/usr/local/cuda/bin")
    if nvcc is None:
        return None
    release = re.search(r"release ([\d.]+)", site.output([nvcc, "--version"], timeout_s=_SMI_S).stdout)
    return release[1] if release else None


def _runtime(site: Site) -> str | None:
    names = (file.name for place in _CUDART_PLACES for file in site.root.glob(f"{place}/libcudart.so.*"))
    versions = [found[1] for name in names if (found := _CUDART.fullmatch(name))]
    return max(versions, key=lambda version: [int(part) for part in version.split(".")], default=None)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return ""
