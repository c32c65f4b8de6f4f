"""A double of what MLC's callers see of TVM."""

from tvm import error, runtime
from tvm.runtime import Device, device

__all__ = ["Device", "device", "error", "runtime"]
