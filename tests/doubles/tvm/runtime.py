"""Devices: only `cpu:0` is there, and what TVM_DOUBLE_DEVICES names."""

import os
from dataclasses import dataclass

_TYPES = ("cpu", "cuda", "opencl", "vulkan", "metal", "rocm")


@dataclass(frozen=True)
class Device:
    """A place to compute."""

    type: str
    index: int

    @property
    def exist(self):
        """Whether it is there."""
        return f"{self.type}:{self.index}" in {"cpu:0", *os.environ.get("TVM_DOUBLE_DEVICES", "").split()}


def device(device_type, index=None):
    """A device, there or not; the number may also be part of the name."""
    name, _, number = device_type.partition(":")
    if name not in _TYPES:
        raise ValueError(f"Unknown device type {name}")
    return Device(name, int(number or 0) if index is None else index)
