"""Any text at all: it is read in linear time, what comes out is bounded, and saying it again changes nothing."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.speech_text import speech_text

LANGUAGES = st.sampled_from([None, "en", "en-GB", "de", "fr", "es", "it", "zh", "xx-unknown", ""])
FRAGMENTS = st.sampled_from([
    "*", "**", "_", "`", "```", "~~", "[", "]", "(", ")", "<", ">", "<think>", "</think>", "$", "\\", "\\frac{", "{",
    "}",
    "|", "\n", "#", "- ", "1. ", "http://", "@", ".", ",", ":", "/", "-", "\u2013", "5", "12", "007", "2024",
    "1,000", "3.5",
    "%", "\u20ac", "km", "\u00b0C", "\u00b2", "\u00bd", "x", "e", "a.m.", "Dr.", "No.", "May ", "&amp;", "&#", "=",
    "^", "!",
    "?", "\u2026", " ", "st", "h", "+1 ", "word", "fooBar", "\U0001f600", "\u200d", "\u0663", "\u4e2d",
])  # fmt: skip
TEXTS = st.lists(FRAGMENTS | st.characters() | st.text(max_size=4), max_size=25).map("".join)
WORDS = st.sampled_from([
    "the", "cat", "Smith", "Dr. Smith", "e.g.", "etc.", "No. 5", "5", "1999", "1,234", "3.5", "5%", "$5.20", "5 km",
    "20°C",
    "10-20", "14:30", "9am", "1/2", "1st", "May 5", "API", "U.S.", "v2.1", "AT&T", "C++", "(yes)", "well-known",
    "don't",
    "a@b.com", "https://a.com/b", "x²", "and", "1990s", "call 911", "[link](x)", "**bold**", "`code`", "Is",
    "10:00-12:30",
])  # fmt: skip
SENTENCES = st.builds(
    lambda words, mark: " ".join(words) + mark,
    st.lists(WORDS | st.text("abcdefgh", min_size=2, max_size=8), min_size=1, max_size=12),
    st.sampled_from(["", ".", "!", "?", ":", "..."]),
)
HOSTILE = (
    "[", "*", "> ", "_", "`", "<", "<think>", "</think>", "$", "\\(", "\\[", "(", "![](", "[a](", "[a](b",
    '<a b="', "~~a",
    "|", "1", "1,", "1.", "1-", "1/", "1:", "1 ", "a@", "@a", "a.", "http://a(", "...", "-", "- ", "#", " ",
    "\u00a0", "\n",
    "&#1", "^", "\\frac{1}{", "<!--", "5 \u20ac", "+1 ", "0123 ", "A.", "Dr. ", "am 3. ", "<|", "\u3010", "?,", ", ",
    ",;",
    "1e", "May 1", "1h", "1'", "=>", "1 000", "$1-", "a\n", "```\n", "[[a", "f(", "[1,",
)  # fmt: skip


@given(text=TEXTS, language=LANGUAGES)
def test_it_says_something_bounded_on_one_line(text, language):
    said = speech_text(text, language=language)

    assert len(said) <= 20 * len(text) + 50
    assert said == " ".join(said.split())
    assert not said or any(map(str.isalnum, said))


@given(text=TEXTS)
def test_no_sign_of_layout_is_left(text):
    assert not set(speech_text(text, language="en")) & set("*_`#|\\{}<>~^\n")


@given(sentence=SENTENCES, language=st.sampled_from([None, "en-GB"]))
def test_what_was_said_is_said_the_same_again(sentence, language):
    said = speech_text(sentence, language=language)

    assert speech_text(said, language=language) == said
    assert not set(said) & set("0123456789")


@given(number=st.integers(-(10**40), 10**40), language=LANGUAGES)
def test_every_number_can_be_said(number, language):
    assert speech_text(f"{number}", language=language)
    assert speech_text(f"It was {number:,}, or {number}.{abs(number)}.", language=language)


@pytest.mark.once
@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_time_grows_with_length_and_no_faster(language):
    def seconds(text: str) -> float:
        start = time.process_time()
        speech_text(text, language=language)
        return time.process_time() - start

    slow = [unit for unit in HOSTILE if seconds(unit * (10_000 // len(unit))) > 2]

    assert slow == [], "linear takes a tenth of that, quadratic ten times"
