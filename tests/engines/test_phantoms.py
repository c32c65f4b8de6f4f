"""What a recogniser makes up is told from what people say."""

import pytest

from agent.engines.phantoms import goes_in_circles, is_phantom


@pytest.mark.parametrize(
    "text",
    ["[BLANK_AUDIO]", "(silence)", " Thanks for watching!", "\u266a \u266a", "...", "you", "Thank you.", "*music*"],
)
def test_what_is_heard_in_silence_is_known(text):
    assert is_phantom(text)


@pytest.mark.parametrize("text", ["Thank you for the music", "Play some music.", "Do you know?", "\u4f60\u597d", "No."])
def test_what_people_say_is_no_phantom(text):
    assert not is_phantom(text)


@pytest.mark.parametrize(
    "text",
    [
        "and so my fellow neurotic and so my fellow neurotic and so my fellow neurotic",
        "the the the the the the the",
        "Open the garage door. open the garage door",
        "I said: go home. Go home. Go home. Go home.",
        "\u597d\u7684" * 8,
    ],
)
def test_words_in_circles_are_noticed(text):
    assert goes_in_circles(text)


@pytest.mark.parametrize(
    "text",
    ["", "No, no, no.", "Row, row, row your boat.", "A hundred and one, a hundred and two, a hundred and three."],
)
def test_what_people_repeat_is_not_taken_for_a_loop(text):
    assert not goes_in_circles(text)
