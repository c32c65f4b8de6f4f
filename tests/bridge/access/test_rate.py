"""Token buckets: what they let through, and that processes share them."""

import gc
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge.access.rate import Bucket, Peers, Rates

ROOT = Path(__file__).parents[3]


def taken(bucket, times):
    """How many of the requests made at these times are let through."""
    full_at, count = 0.0, 0
    for now in times:
        full_at, wait_s = bucket.take(full_at, now)
        count += not wait_s
    return count


def test_a_burst_and_then_the_rate():
    bucket = Bucket(per_s=2.0, burst=5)

    assert taken(bucket, [100.0] * 20) == 5
    assert taken(bucket, [100.0 + number / 10 for number in range(101)]) == 5 + 20


def test_the_wait_that_is_told_is_enough_and_no_longer():
    bucket = Bucket(per_s=4.0, burst=1)
    full_at, _ = bucket.take(0.0, 100.0)

    _, wait_s = bucket.take(full_at, 100.1)

    assert wait_s == pytest.approx(0.15)
    assert bucket.take(full_at, 100.1 + wait_s / 2)[1] > 0
    assert bucket.take(full_at, 100.1 + wait_s + 1e-6)[1] == 0


def test_each_client_has_its_own():
    rates = Rates(Bucket(per_s=0.01, burst=1))

    assert rates.take("http-a") == 0
    assert rates.take("http-a") > 0
    assert rates.take("http-b") == 0


def forking(program):
    """What a process of its own prints that forks others: ours has threads."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.split()


def test_workers_count_together():
    counts = forking("""
import os
from bridge.access.rate import Bucket, Rates
rates = Rates(Bucket(per_s=0.001, burst=200))
for _ in range(4):
    if not os.fork():
        os.write(1, b"%d\\n" % sum(not rates.take("http-a") for _ in range(100)))
        os._exit(0)
for _ in range(4):
    os.wait()
""")

    assert len(counts) == 4
    assert sum(map(int, counts)) == 200


def test_a_worker_that_is_killed_holds_nobody_up():
    assert (
        forking("""
import os, signal, time
from bridge.access.rate import Bucket, Rates
rates = Rates(Bucket(per_s=0.001, burst=1_000_000))
for _ in range(10):
    worker = os.fork()
    while not worker:
        rates.take("http-a")
    time.sleep(0.02)
    os.kill(worker, signal.SIGKILL)
    os.wait()
    print(rates.take("http-b"))
""")
        == ["0.0"] * 10
    )


def test_as_often_as_anybody_likes():
    rates, peers = Rates(Bucket.of(0.0, 1)), Peers(Bucket.of(0.0, 1))

    assert not any(rates.take("http-a") or peers.take("192.0.2.1") for _ in range(100))


def test_its_memory_is_given_back():
    def files():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = files()
    for _ in range(10):
        Rates(None)
    gc.collect()

    assert files() <= before


def test_taking_is_quick():
    rates = Rates(Bucket(per_s=1.0, burst=1))
    for number in range(100):
        rates.take(f"http-{number}")
    began = time.perf_counter()

    for _ in range(1_000):
        rates.take("http-99")

    assert (time.perf_counter() - began) / 1_000 < 0.001  # some 20 µs on a quiet machine


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "", True),
    ],
)
def test_peers(one, other, same):
    peers = Peers(Bucket(per_s=0.01, burst=1))
    assert peers.take(one) == 0

    assert (peers.take(other) > 0) == same


def test_only_so_many_peers_are_remembered():
    peers = Peers(Bucket(per_s=0.01, burst=1))
    for number in range(5_000):
        peers.take(f"2001:db8:{number:x}::1")

    assert peers.take("2001:db8:0::1") == 0
