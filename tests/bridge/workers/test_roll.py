"""Who waits for which request, as two processes see it."""

import multiprocessing

import pytest

from bridge.workers.roll import Key, Roll

pytestmark = pytest.mark.once

KEY = Key("bridge", "r1")


@pytest.fixture
def roll():
    """Of two workers; this is the first."""
    shared = Roll(workers=2)
    shared.begin_row(0)
    return shared


def in_the_other(roll, act):
    """Does `act` in the second worker, which then is killed."""

    def live():
        roll.begin_row(1)
        act()

    worker = multiprocessing.get_context("fork").Process(target=live)
    worker.start()
    worker.join(10)
    assert worker.exitcode == 0


def test_who_waits_here_is_not_elsewhere(roll):
    roll.add(KEY)
    assert not roll.elsewhere(KEY)


def test_who_waits_at_another_worker_is_seen(roll):
    in_the_other(roll, lambda: roll.add(KEY))
    assert roll.elsewhere(KEY)
    assert not roll.elsewhere(Key("bridge", "r2"))
    assert not roll.elsewhere(Key("http-ada", "r1"))


def test_each_of_several_is_counted(roll):
    def act():
        roll.add(KEY)
        roll.add(KEY)
        roll.remove(KEY)

    in_the_other(roll, act)
    assert roll.elsewhere(KEY)


def test_what_a_killed_worker_left_is_gone_with_its_successor(roll):
    in_the_other(roll, lambda: roll.add(KEY))
    in_the_other(roll, lambda: None)
    assert not roll.elsewhere(KEY)
