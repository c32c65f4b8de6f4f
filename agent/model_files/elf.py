"""What the head of an ELF file tells: the processor it was compiled for, and whether the file is whole."""

from __future__ import annotations

import platform
import struct
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import Self

_HEADER_BYTES = 64
_WIDE, _BIG_ENDIAN = 2, 2
_MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
_ALSO_CALLED = {"amd64": "x86_64", "arm64": "aarch64", "armv7l": "arm", "i686": "i386"}


def this_machine() -> str:
    """This machine's processor, in the words of `elf_machine`."""
    machine = platform.machine().lower()
    return _ALSO_CALLED.get(machine, machine)


def elf_machine(path: Path) -> str | None:
    """The processor that a program or library was compiled for, as `uname -m` names it; None where it is no ELF file.

    OSError where it cannot be read.
    """
    head = _Head.of(path)
    return head.machine if head else None


def elf_fault(path: Path) -> str | None:
    """Why a library cannot be loaded on this machine, as far as its head tells. OSError where it cannot be read."""
    head = _Head.of(path)
    if head is None:
        return f"{path} is no library of Linux"
    if head.machine != this_machine():
        return f"{path} was compiled for {head.machine}, this machine is {this_machine()}"
    return f"{path} is cut short" if path.stat().st_size < head.end else None


@dataclass(frozen=True)
class _Head:
    machine: str
    end: int
    """Where the section headers end, which linkers write last; 0 where that is not told."""

    @classmethod
    def of(cls, path: Path) -> Self | None:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
        if not head.startswith(b"\x7fELF") or len(head) < _HEADER_BYTES:
            return None
        order = ">" if head[5] == _BIG_ENDIAN else "<"
        (number,) = struct.unpack_from(order + "H", head, 18)
        machine = _MACHINES.get(number, f"ELF machine {number}")
        if head[4] != _WIDE:
            return cls(machine, 0)
        (offset,) = struct.unpack_from(order + "Q", head, 40)
        size, count = struct.unpack_from(order + "HH", head, 58)
        return cls(machine, offset + size * count if offset else 0)
