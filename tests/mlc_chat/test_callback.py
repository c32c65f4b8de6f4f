"""What a program sees of an answer while it is being written."""

import threading
from queue import Empty

import pytest

from agent.mlc_chat import GenerationConfig
from agent.mlc_chat.callback import DeltaCallback, StreamIterator, StreamToStdout

pytestmark = pytest.mark.once


class Deltas(DeltaCallback):
    def __init__(self, interval):
        super().__init__()
        self.callback_interval = interval
        self.told = []

    def delta_callback(self, delta_message):
        self.told.append(delta_message)

    def stopped_callback(self):
        self.told.append(None)


@pytest.mark.parametrize(
    ("interval", "told"),
    [
        (1, ["a", " b", " c", " d", " e", None]),
        (2, ["a", " b c", " d e", None]),
        (3, ["a", " b c d", " e", None]),
        (99, ["a", " b c d e", None]),
    ],
)
def test_what_is_new_comes_every_so_many_tokens(chat, interval, told):
    seen = Deltas(interval)
    cm = chat(answer="a b c d e")
    for _ in range(2):
        cm.generate("Spell.", progress_callback=seen)
    assert seen.told == told * 2


def test_anything_called_like_a_callback_is_one(chat):
    calls = []

    def take(message="", stopped=False):
        calls.append((message, stopped))

    chat(answer="a b").generate("Spell.", progress_callback=take)
    assert calls == [("a", False), ("a b", False), ("", True)]


def test_nothing_of_a_stop_string_is_shown(chat):
    seen = Deltas(1)
    chat(answer="a b<end>c").generate("Spell.", GenerationConfig(stop="b<e"), seen)
    assert "".join(told or "" for told in seen.told) == "a "


def test_an_answer_is_printed_as_it_comes(chat, capsys):
    cm = chat(answer="a b c")
    capsys.readouterr()
    assert cm.generate("Spell.", progress_callback=StreamToStdout(callback_interval=2)) == "a b c"
    assert capsys.readouterr().out == "a b c\n"


def test_whoever_iterates_is_told_where_there_will_be_no_answer(chat):
    pieces = StreamIterator(timeout=20)
    with pytest.raises(ValueError, match="is empty"):
        chat().generate(" ", progress_callback=pieces)
    assert list(pieces) == []


def test_a_callback_that_fails_ends_the_answer(chat):
    class Full(DeltaCallback):
        def delta_callback(self, delta_message):
            raise OSError("no space left")

    cm = chat(answer="{asked}", piece_delay_s=0.01, slots=1)
    with pytest.raises(OSError, match="no space left"):
        cm.generate("One two three?", progress_callback=Full())
    assert cm.generate("Four?") == "Four?"


def test_an_iterator_has_the_pieces_for_another_thread(chat):
    pieces = StreamIterator(callback_interval=1)
    cm = chat(answer="a b c")
    generating = threading.Thread(target=cm.generate, args=("Spell.",), kwargs={"progress_callback": pieces})
    generating.start()
    assert "".join(pieces) == "a b c"
    generating.join()


def test_an_iterator_does_not_wait_longer_than_it_is_told():
    with pytest.raises(Empty):
        next(StreamIterator(timeout=0.01))
