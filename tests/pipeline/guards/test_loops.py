"""What goes in a circle is cut off behind the first time it is said; what is repeated with reason stays."""
# ruff: noqa: RUF001 - signs of many scripts

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.pipeline.guards import Ending, Guard, GuardSettings
from agent.pipeline.guards.loops import LONGEST, Loops, needed, needed_at_limit
from agent.pipeline.guards.units import Unit, Units

pytestmark = pytest.mark.once

ONLY_LOOPS = GuardSettings(stop_strings=False, role_markers=False)

LONG = (
    "It is worth saying that the battery of this board lasts about four hours when nothing else runs on it, and that "
    "the fan starts as soon as the model is loaded. You may lower the clock, which makes answers slower but the board "
    "cooler. In the end it is up to you which of the two matters more, and both settings can be changed at any time. "
)
assert len(LONG.split()) > 60


def answered(text: str) -> tuple[str, str, Ending | None]:
    guard = Guard(ONLY_LOOPS)
    shown = guard.feed(text)
    shown += guard.end()
    return shown, guard.text, guard.ending


@pytest.mark.parametrize(
    ("before", "passage", "kept"),
    [
        ("", "no ", "no"),
        ("Well, ", "no, ", "Well, no"),
        ("It is ", "very very ", "It is very"),
        ("He laughed: ", "ha", "He laughed: " + "ha" * 21),
        ("", "I am fine. ", "I am fine."),
        ("I am glad. ", "How are you? I am fine. ", "I am glad. How are you? I am fine."),
        ("It is good. ", "It is bad. ", "It is good. It is bad."),
        ("Thank you! ", "I'm sorry, I don't know. ", "Thank you! I'm sorry, I don't know."),
        ('She said "', 'no." And he said "yes." Then she said "', 'She said "no." And he said "yes."'),
        ("It goes ", "on and ", "It goes on and"),
        ("Buy:\n", "- milk\n", "Buy:\n- milk"),
        ("Buy:\n", "1. milk\n2. eggs\n", "Buy:\n1. milk\n2. eggs"),
        ("Yes. ", "(As I said, it is.) ", "Yes. (As I said, it is.)"),
        ("Before. ", LONG, f"Before. {LONG}".rstrip()),
        ("你好！", "今天天气很好，我们去公园吧。", "你好！今天天气很好，我们去公园吧。"),
        ("", "好的", "好的"),
        ("ครับ ", "ขอบคุณมาก", "ครับ ขอบคุณมาก"),
        ("", "これは本です。", "これは本です。"),
        ("नमस्ते। ", "मैं ठीक हूँ। ", "नमस्ते। मैं ठीक हूँ।"),
        ("Fine. ", "I am well and happy. And you? But ", "Fine. I am well and happy. And you?"),
        ("Paris. ", "P.S. I hope this helps!\n\n", "Paris. P.S. I hope this helps!"),
        (
            "It is Paris. ",
            "I hope this helps! If you have any other questions, feel free to ask. ",
            "It is Paris. I hope this helps! If you have any other questions, feel free to ask.",
        ),
        ("Hm. ", "I think, therefore I am, ", "Hm. I think, therefore I am"),
        ("It is so", "!", "It is so!"),
        ("It is so.", "\n", "It is so."),
        ("It is so. ", "1.", "It is so."),
    ],
)
@pytest.mark.parametrize("rest", ["", "The end."])
def test_a_loop_is_cut_off(before: str, passage: str, kept: str, rest: str) -> None:
    text = before + passage * (700 // len(passage) + 4) + rest
    shown, left, ending = answered(text)
    assert ending is Ending.LOOP
    assert left == kept
    assert len(shown) < len(text) - len(rest)


@given(st.integers(1, 62), st.integers(0, 61))
def test_every_period_of_words(period: int, into: int) -> None:
    words = [f"w{chr(97 + index % 26)}{index}" for index in range(period)]
    passage = " ".join(words)
    text = "Once upon a time " + f"{passage} " * 24 + " ".join(words[: into % period])
    shown, left, ending = answered(text)
    assert ending is Ending.LOOP
    assert left == f"Once upon a time {passage}"
    assert len(shown.split()) <= 4 + period * needed(period, is_patient=False)


@pytest.mark.parametrize(
    "text",
    [
        "No, no, no! I said no, no, no, no, no, no, and no.",
        "Ha ha ha ha ha ha ha ha ha ha! Very, very, very, very, very good.",
        "Hahahahahahahahahahahahahahahahahaha!",
        "Buffalo buffalo Buffalo buffalo buffalo buffalo Buffalo buffalo.",
        "Na na na na na na na na na na na na na na na na, Batman!",
        "哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈，太好笑了！",
        "Noooooooooooooooooooooooooooooooooooooooooooooooooooooooooooo!!!!!!!!!!!!!!!!!!!!",
        "😂😂😂😂😂😂😂😂😂😂😂😂😂😂😂😂😂😂😂😂",
        "\n".join(f"{number}. Take step {number} of the plan." for number in range(1, 100)),
        ", ".join(str(number) for number in range(300)),
        " ".join(f"{number} bottles of beer on the wall, {number} bottles of beer." for number in range(99, 0, -1)),
        "\n".join(f"{name}: yes" for name in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        "Row, row, row your boat,\ngently down the stream.\nMerrily, merrily, merrily, merrily,\nlife is but a dream.\n"
        * 3,
        "\n\n".join(
            f"{verse}\nOh, when the saints go marching in,\nI want to be in that number,\nwhen the saints go marching."
            for verse in ("The sun begins to shine.", "The trumpet sounds its call.", "The new world is revealed.") * 2
        ),
        "Tell me why.\nTell me why.\nTell me why.\nTell me why.\nTell me why.\nTell me why.",
        "| a | b | c | d | e |\n| --- | --- | --- | --- | --- |\n" + "|  |  |  |  |  |\n" * 20,
        "|" + " --- |" * 30,
        "| day | open |\n|---|---|\n" + "".join(f"| {day} | 9 to 5 |\n" for day in ("Mon", "Tue", "Wed", "Thu", "Fri")),
        "| a | b | c |\n|---|---|---|\n" + "| 0 | 0 | 0 |\n" * 12,
        "One.\n\n" + "-" * 80 + "\n\nTwo.\n\n" + "=" * 100 + "\n\n" + "* " * 20 + "\n\nThree.",
        "```python\n" + "print()\n" * 12 + 'print("done")\n```',
        "```c\nstatic const int zeros[] = {\n" + "    0, 0, 0, 0, 0, 0, 0, 0,\n" * 8 + "};\n```",
        "```html\n<tr>" + "<td></td>" * 20 + "</tr>\n```",
        "```asm\n" + "    nop\n" * 40 + "```",
        "```\n" + "+" + "-" * 100 + "+\n" + ("|" + " " * 100 + "|\n") * 10 + "```",
        "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]",
        "[" + "0.0, " * 24 + "0.0]",
        "\\begin{pmatrix}\n" + "0 & 0 & 0 & 0 \\\\\n" * 4 + "\\end{pmatrix}",
        "1/3 is 0.3333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333…",
        "Fill in: ____________________________________________ and ............................................ here.",
        "It rains. It rains. It rains. It stops.",
        (LONG * 2).rstrip(),
        "ACGT" * 16,
        "",
    ],
)
def test_repetition_with_reason_stays(text: str) -> None:
    assert answered(text) == (text, text, None)


def test_code_and_tables_have_patience_but_no_endless_one() -> None:
    assert answered("```\n" + "print()\n" * 400)[1:] == ("```\nprint()", Ending.LOOP)
    assert answered("| 0 | 1 |\n" * 400)[1:] == ("| 0 | 1 |", Ending.LOOP)


def test_the_last_word_may_be_the_one() -> None:
    guard = Guard(ONLY_LOOPS)
    guard.feed("no " * (needed(1, is_patient=False) - 1) + "no")
    assert guard.ending is None
    guard.end()
    assert guard.ending is Ending.LOOP


AFTERTHOUGHT = "And please do not forget to take your keys along when you leave, for nobody else has any. "


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Yes. " + AFTERTHOUGHT * 3 + "And plea", "Yes. " + AFTERTHOUGHT.rstrip()),
        ("Yes. " + LONG * 2 + "It is", "Yes. " + LONG.rstrip()),
        ("It is very " + "very " * 21 + "ve", "It is very"),
        ("Yes. " + AFTERTHOUGHT * 2 + "And plea", None),
        ("It is very " + "very " * 10 + "ve", None),
        ("| and | one | row | of | many | that | are | all | the | same |\n" * 6 + "| and", None),
        ("", None),
    ],
)
def test_at_its_longest_less_makes_a_loop(text: str, kept: str | None) -> None:
    for at_limit in (True, False):
        guard = Guard(ONLY_LOOPS)
        assert guard.feed(text) == text
        assert guard.end(at_limit=at_limit) == ""
        assert guard.text == (kept if at_limit and kept else text)
        assert (guard.ending is Ending.LOOP) is (at_limit and kept is not None)


def test_the_shorter_the_more() -> None:
    assert [needed(weight, is_patient=False) for weight in (0.125, 0.5, 1, 2, 5, 10, 20, 39, 40, 60)] == [
        *(163, 43, 23, 13, 7, 5, 4, 4, 3, 3)
    ]
    assert needed(10, is_patient=True) == 20
    assert [needed_at_limit(weight) for weight in (0.5, 1, 5, 10, 19, 20, 60)] == [40, 20, 4, 3, 3, 2, 2]


def units(pieces: Sequence[str]) -> list[Unit]:
    cutter = Units()
    return [unit for piece in pieces for unit in cutter.feed(piece)] + list(cutter.end())


def naive(text: str) -> int | None:
    """After how many units it is certain, looking at all of them each time."""
    texts, weights = [unit.text for unit in units([text])], [unit.weight for unit in units([text])]
    for count in range(1, len(texts) + 1):
        for period in range(1, min(LONGEST, count // 3) + 1):
            times = needed(sum(weights[count - period : count]), is_patient=False)
            length = times * period
            if length <= count and all(
                texts[index] == texts[index - period] for index in range(count - length + period, count)
            ):
                return count
    return None


words = st.lists(st.sampled_from(["a", "b", "the", "no,", "so.", "1", "好", "！", "ha"]), min_size=1, max_size=8)


@given(words, words, st.integers(1, 30), words)
@example(["a"], ["a", "b"], 13, [])
def test_finds_what_a_naive_one_finds(before: list[str], passage: list[str], times: int, after: list[str]) -> None:
    text = " ".join([*before, *passage * times, *after])
    loops = Loops()
    shown = loops.feed(text)
    loops.end()
    expected = naive(text)
    assert loops.is_over is (expected is not None)
    if expected is not None:
        assert shown == text[: units([text])[expected - 1].end]
        kept = loops.without_repetition(shown)
        assert shown.startswith(kept)
        assert len(kept) < len(shown)
        assert kept


@given(st.text("ab1 .\n好'\u0e01\u0301", max_size=120), st.lists(st.integers(1, 9), min_size=1))
def test_units_are_the_same_in_any_pieces(text: str, lengths: list[int]) -> None:
    text *= 3
    pieces: list[str] = []
    at = 0
    while at < len(text):
        pieces.append(text[at : at + lengths[len(pieces) % len(lengths)]])
        at += len(pieces[-1])
    assert units(pieces) == units([text])


def test_units() -> None:
    assert [(unit.text, unit.weight) for unit in units(["Don't, 12 ", "हिन्दी 好ก" + "x" * 42])] == [
        *(("don't", 1.0), (",", 0.125), ("12", 0.25), ("हिन्दी", 1.0), ("好", 0.5), ("ก", 0.25)),
        *(("x" * 40, 1.0), ("x", 0.125), ("x", 0.125)),
    ]
