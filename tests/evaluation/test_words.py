"""Words that were heard otherwise are counted as a person would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.evaluation.words import word_errors, words

SENTENCES = st.lists(st.sampled_from(["a", "fox", "it's", "über", "7"]), max_size=8)


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("Turn on the light.", "turn on the light", 0),
        ("It\u2019s 7 o'clock: GRÜSSE!", "it's 7 o'clock grüße", 0),
        ("Turn on the light.", "turn the light", 1),
        ("Turn on the light.", "turn on the night light", 1),
        ("Turn on the light.", "burn on the night", 2),
        ("Turn on", "", 2),
        ("", "well", 1),
    ],
)
def test_errors_are_words_to_insert_drop_or_replace(said, heard, errors):
    assert word_errors(said, heard) == word_errors(heard, said) == errors


@given(SENTENCES, SENTENCES)
def test_no_more_words_are_wrong_than_there_are(said, heard):
    errors = word_errors(" ".join(said), " ".join(heard))
    assert abs(len(said) - len(heard)) <= errors <= max(len(said), len(heard))
    assert (errors == 0) == (said == heard)


@given(st.text())
def test_any_text_is_words(text):
    assert word_errors(text, " ".join(words(text))) == 0
