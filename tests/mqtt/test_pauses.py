"""When to try again, and when to believe that somebody else has our place."""

from agent.mqtt.pauses import Pauses


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def lose(pauses, clock, *, after_s, broker_there=True):
    pauses.connected()
    clock.now += after_s
    pauses.lost(broker_there=lambda: broker_there)
    pause_s = pauses.next_s()
    clock.now += pause_s
    return pause_s


def test_pauses_grow_up_to_the_longest_and_begin_anew_after_a_good_connection():
    clock = Clock()
    pauses = Pauses(0.2, 15.0, now=clock)
    grown = []
    for _ in range(10):
        pauses.failed()
        grown.append(pauses.next_s())
    assert all(0.1 * 2**n <= pause_s <= 0.2 * 2**n for n, pause_s in enumerate(grown[:6]))
    assert max(grown) <= 15.0
    assert min(grown[-3:]) >= 7.5
    assert lose(pauses, clock, after_s=11) <= 0.2


def test_five_short_connections_to_a_broker_that_is_there_are_a_rival():
    clock = Clock()
    pauses = Pauses(0.2, 2.0, now=clock)
    told = [lose(pauses, clock, after_s=1) for _ in range(5)]
    assert max(told[:4]) <= 2.0
    assert told[4] == 60.0
    assert lose(pauses, clock, after_s=1) == 60.0  # still there
    assert lose(pauses, clock, after_s=11) <= 0.2  # gone


def test_a_broker_that_is_started_again_and_again_is_no_rival():
    clock = Clock()
    pauses = Pauses(0.2, 2.0, now=clock)
    for _ in range(4):
        lose(pauses, clock, after_s=1)
    lose(pauses, clock, after_s=1, broker_there=False)
    for _ in range(4):
        assert lose(pauses, clock, after_s=1) <= 2.0


def test_losses_that_are_far_apart_are_no_rival():
    clock = Clock()
    pauses = Pauses(0.2, 15.0, now=clock)
    for _ in range(12):
        lose(pauses, clock, after_s=9)
    assert not pauses.rival


def test_a_connection_that_cannot_be_made_in_between_is_no_rivals_work():
    clock = Clock()
    pauses = Pauses(0.2, 2.0, now=clock)
    for _ in range(3):
        for _ in range(4):
            lose(pauses, clock, after_s=1)
        pauses.failed()
    assert not pauses.rival
