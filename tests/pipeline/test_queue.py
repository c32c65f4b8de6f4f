"""Whose turn it is: fair between clients, in order within one."""

from hypothesis import given
from hypothesis import strategies as st

from agent.pipeline.queue import Queue

CLIENTS = st.sampled_from("abcd")
STEPS = st.lists(
    st.tuples(st.just("join"), CLIENTS, st.integers(0, 2)) | st.just(("call",)) | st.tuples(st.just("leave"), CLIENTS),
    max_size=80,
)


def test_clients_take_turns_however_much_one_of_them_wants():
    queue: Queue[str] = Queue()
    for number in range(3):
        queue.join(f"greedy{number}", client="greedy", priority=9)
    queue.join("modest", client="modest", priority=0)
    assert [queue.call() for _ in range(4)] == ["greedy0", "modest", "greedy1", "greedy2"]
    assert len(queue) == 0


def test_of_one_client_the_highest_priority_goes_first_then_the_first_to_come():
    queue: Queue[str] = Queue()
    for who, priority in [("a", 0), ("b", 5), ("c", 5), ("d", 9)]:
        queue.join(who, client="demo", priority=priority)
    assert list(queue.order()) == ["d", "b", "c", "a"]


def test_who_had_the_latest_turn_goes_behind_who_had_none():
    queue: Queue[str] = Queue()
    queue.join("a1", client="a", priority=0)
    assert queue.call() == "a1"
    queue.join("a2", client="a", priority=9)
    queue.join("b1", client="b", priority=0)
    assert [queue.call(), queue.call()] == ["b1", "a2"]


def test_who_left_is_not_called_and_may_leave_twice():
    queue: Queue[str] = Queue()
    queue.join("a", client="demo", priority=0)
    queue.join("b", client="demo", priority=0)
    queue.leave("a")
    queue.leave("a")
    assert ("a" in queue, queue.call()) == (False, "b")


@given(STEPS)
def test_whatever_happens_the_order_is_kept_and_nobody_starves(steps):
    queue: Queue[int] = Queue()
    waiting: dict[int, tuple[str, int, int]] = {}  # who → (client, -priority, when)
    passed_over = dict.fromkeys("abcd", 0)  # turns of others since the client's last one
    for when, step in enumerate(steps):
        match step:
            case ("join", client, priority):
                if all(of != client for of, *_ in waiting.values()):
                    passed_over[client] = 0
                queue.join(when, client=client, priority=priority)
                waiting[when] = (client, -priority, when)
            case ("leave", client):
                for who in [who for who, (of, *_) in waiting.items() if of == client][:1]:
                    queue.leave(who)
                    del waiting[who]
            case ("call",) if waiting:
                foreseen = list(queue.order())
                assert sorted(foreseen) == sorted(waiting)
                who = foreseen[0]
                assert queue.call() == who
                client = waiting[who][0]
                assert waiting[who] == min(place for place in waiting.values() if place[0] == client)
                del waiting[who]
                passed_over = {of: times + 1 for of, times in passed_over.items()}
                passed_over[client] = 0
                assert all(passed_over[of] < len(passed_over) for of, *_ in waiting.values())
    assert len(queue) == len(waiting)
    foreseen = list(queue.order())
    assert [queue.call() for _ in waiting] == foreseen


def test_of_a_full_house_everybody_has_one_turn_in_each_round():
    queue: Queue[tuple[int, int]] = Queue()
    for number in range(64):
        for client in range(100):
            queue.join((client, number), client=str(client), priority=number % 3)
    called = [who for _ in range(6_400) if (who := queue.call())]
    for turn in range(64):
        assert len({client for client, _ in called[turn * 100 : (turn + 1) * 100]}) == 100


def test_of_one_lane_nobody_has_a_turn_before_the_former_is_free():
    queue: Queue[str] = Queue()
    for who, lane in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("any", None)):
        queue.join(who, client="one", priority=0, lane=lane)
    queue.join("other", client="two", priority=0, lane="a")
    assert [queue.call() for _ in range(4)] == ["a1", "b1", "any", None]
    queue.leave("a1")
    assert queue.call() is None
    queue.free("a1")
    assert [queue.call() for _ in range(2)] == ["other", None]
    queue.free("other")
    assert (queue.call(), len(queue)) == ("a2", 0)
