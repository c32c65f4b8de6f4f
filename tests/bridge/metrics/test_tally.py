"""What workers count together, also when one of them dies."""

import multiprocessing

import pytest

from bridge.metrics import tally as module
from bridge.metrics.tally import BUCKETS_S, OTHER, Tally, Worker

ASK = "/v1/ask"


@pytest.fixture
def tally():
    return Tally([ASK, "/healthz"], workers=3)


def at_worker(number, tally, work):
    """Has a process of its own, which ends without a word, do `work` as that worker."""

    def live():
        tally.begin_row(number)
        work()

    process = multiprocessing.get_context("fork").Process(target=live)
    process.start()
    process.join()
    assert process.exitcode == 0


def test_all_is_told_together(tally):
    for number in range(3):
        at_worker(number, tally, lambda: tally.count(ASK, 200, 0.02))
    at_worker(1, tally, lambda: tally.count(OTHER, 404, 0.0001))
    asked, other = tally.served()
    assert (asked.route, asked.by_status, other.by_status) == (ASK, {200: 3}, {404: 1})
    assert asked.seconds == pytest.approx(0.06)
    assert dict(zip(BUCKETS_S, asked.buckets, strict=True))[0.01] == 0
    assert asked.buckets[-1] == 3


def test_a_successor_counts_on(tally):
    for _ in range(2):
        at_worker(0, tally, lambda: tally.count(ASK, 200, 0.02))
    assert tally.served()[0].by_status == {200: 2}


def test_how_a_worker_fares_ends_with_it(tally, monkeypatch):
    at_worker(0, tally, lambda: tally.tell(Worker(waiting=4, connected=True)))
    at_worker(2, tally, lambda: tally.tell(Worker(waiting=1, connected=False)))
    assert tally.workers() == [Worker(4, connected=True), Worker(1, connected=False)]
    at_worker(2, tally, lambda: None)
    assert tally.workers() == [Worker(4, connected=True)]
    monkeypatch.setattr(module, "_LOST_S", 0.0)
    assert tally.workers() == []


@pytest.mark.parametrize(("status", "as_"), [(599, 500), (299, 200), (499, 499)])
def test_a_status_that_nobody_knows_is_counted_as_one_of_its_kind(tally, status, as_):
    tally.count(ASK, status, 61.0)
    [served] = tally.served()
    assert served.by_status == {as_: 1}
    assert served.buckets[-2:] == (0, 1)
