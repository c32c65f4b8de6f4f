"""Pieces come out in order and once, whatever the order in which they came in, and how often."""

from hypothesis import given
from hypothesis import strategies as st

from agent.uploads.pieces import WINDOW, Pieces

NUMBERS = st.integers(0, 20)


def piece(number):
    return bytes([number % 256])


@given(st.lists(NUMBERS, max_size=60))
def test_what_comes_out_is_the_longest_beginning(numbers):
    pieces = Pieces()
    out = [each for number in numbers for each in pieces.add(number, piece(number))]
    assert out == [piece(number) for number in range(pieces.next)]
    assert set(range(pieces.next)) <= set(numbers)
    assert pieces.next not in numbers


@given(st.lists(NUMBERS, max_size=30), NUMBERS)
def test_what_is_missing_completes_it(numbers, expected):
    pieces = Pieces()
    for number in numbers:
        pieces.add(number, piece(number))
    pieces.expect(expected)
    known = max([expected, *(number + 1 for number in numbers)])
    missing = pieces.missing(100)
    assert set(missing) == set(range(known)) - set(numbers)
    for number in missing:
        pieces.add(number, piece(number))
    assert (pieces.next, pieces.missing(100)) == (known, ())


def test_what_lies_too_far_ahead_is_not_kept_and_is_missing_later():
    pieces = Pieces()
    assert not pieces.is_wanted(WINDOW)
    pieces.add(WINDOW, b"x")
    assert pieces.missing(3) == (0, 1, 2)
    for number in range(WINDOW):
        pieces.add(number, b"y")
    assert (pieces.next, pieces.missing(3)) == (WINDOW, (WINDOW,))


def test_a_number_without_end_costs_nothing():
    pieces = Pieces()
    pieces.add(999_999_999, b"x")
    assert pieces.missing(64) == tuple(range(64))
