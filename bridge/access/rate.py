"""How often one may ask: token buckets, shared by the workers of a bridge."""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import time
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from typing_extensions import Self

_RECORD = struct.Struct("32sd")
_PEERS = 1_024
_IPV6_HOST_BITS = 64


@dataclass(frozen=True)
class Bucket:
    """A bucket that holds `burst` requests and gains `per_s` of them a second.

    All there is to know of one is when it will be full again, by the clock that all processes of a machine share.
    """

    per_s: float
    burst: int

    @classmethod
    def of(cls, per_s: float, burst: int) -> Self | None:
        """None where `per_s` is 0: as often as anybody likes."""
        return cls(per_s, burst) if per_s else None

    def take(self, full_at: float, now: float) -> tuple[float, float]:
        """When it will be full once one more is taken, and the wait until one can be [s], 0 where it was taken."""
        taken = max(full_at, now) + 1 / self.per_s
        wait_s = taken - (now + self.burst / self.per_s)
        return (taken, 0.0) if wait_s <= 0 else (full_at, wait_s)


class Rates:
    """A bucket for each client, in memory that workers share; it ends with the last of them, however that ends."""

    def __init__(self, bucket: Bucket | None) -> None:
        """Memory for whoever is forked from this process; `bucket` None lets everybody ask as often as they like."""
        self._bucket = bucket
        # A file, of all memory: the kernel takes a lock on one back from a worker that is killed.
        self._file = os.memfd_create("edgevoice-rates")
        weakref.finalize(self, os.close, self._file)

    def take(self, client: str) -> float:
        """Seconds until `client` may ask; 0 where it may now, which then counts."""
        if self._bucket is None:
            return 0.0
        name = hashlib.sha256(client.encode()).digest()
        fcntl.lockf(self._file, fcntl.LOCK_EX)  # for microseconds
        try:
            place, full_at = self._look_up(name)
            full_at, wait_s = self._bucket.take(full_at, time.monotonic())
            os.pwrite(self._file, _RECORD.pack(name, full_at), place)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
        return wait_s

    def _look_up(self, name: bytes) -> tuple[int, float]:
        """Where the record of `name` is or belongs, and when its bucket will be full; they stand there in a row."""
        table = os.pread(self._file, os.fstat(self._file).st_size, 0)
        for number, (known, full_at) in enumerate(_RECORD.iter_unpack(table)):
            if known == name:
                return number * _RECORD.size, full_at
        return len(table), 0.0


class Peers:
    """A bucket for each of the addresses that were last heard of; IPv6 by the network that one site has."""

    def __init__(self, bucket: Bucket | None) -> None:
        """`bucket` None lets everybody try as often as they like."""
        self._bucket = bucket
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, address: str) -> float:
        """Seconds until `address` may try again; 0 where it may now, which then counts."""
        if self._bucket is None:
            return 0.0
        peer = _site(address)
        full_at, wait_s = self._bucket.take(self._full_at.pop(peer, 0.0), time.monotonic())
        self._full_at[peer] = full_at
        if len(self._full_at) > _PEERS:
            self._full_at.popitem(last=False)
        return wait_s


def _site(address: str) -> str:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:  # a Unix socket has none
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(IPv6Address(int(parsed) >> _IPV6_HOST_BITS << _IPV6_HOST_BITS))
    return str(parsed)
