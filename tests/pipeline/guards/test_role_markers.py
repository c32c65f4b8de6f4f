"""An answer ends where the other side's turn begins, and begins behind its own marker."""

import pytest

from agent.pipeline.guards import Ending, Guard, GuardSettings

pytestmark = pytest.mark.once

ONLY_MARKERS = GuardSettings(loops=False, stop_strings=False)


def answered(text: str) -> tuple[str, Ending | None]:
    guard = Guard(ONLY_MARKERS)
    for char in text:
        guard.feed(char)
    guard.end()
    return guard.text, guard.ending


def test_a_model_that_talks_to_itself() -> None:
    # Nothing of it is an answer; its first sentence, under whatever name, is more than silence or an error.
    assert answered("user: How are you?\nuser: I'm fine.\nuser: How are") == ("How are you?\n", Ending.ROLE_MARKER)


@pytest.mark.parametrize(
    "turn",
    [
        *("\nuser:", "\nUser:", "\nUSER: ", "\n\nHuman: ", "\n  User:", "\nassistant:", "\nAssistant: Fine."),
        *("\n### Human:", "\n### User: Why?", "\n## Assistant:", "\n### Instruction:\nSay it."),
        *("<|im_start|>user\nWhy?", "<|im_end|>", "\n<|im_end|>\n<|im_start|>user", " <|eot_id|>", "<|endoftext|>"),
        *("<|start_header_id|>user<|end_header_id|>", "</s>", "</s>[INST]", " [INST] Why? [/INST]", "\n<|user|>\nWhy?"),
        *("<end_of_turn>\n<start_of_turn>user", "\n用户\uff1a为什么", "\nUser\uff1a", "<\uff5cUser\uff5c>Why?"),
        "\n```\ncode\n```\nuser: Thanks!",
        "\nHost: 10.0.0.5\n\nUser: Thanks!",
        "\n<think>User: wants it.</think>\nUser: Why?",
    ],
)
def test_another_turn_ends_the_answer(turn: str) -> None:
    text, ending = answered(f"It is so.{turn} And more.")
    assert ending is Ending.ROLE_MARKER
    assert text.startswith("It is so.")
    assert "And more." not in text
    assert not {"Why?", "Thanks!", "Say it.", "Fine."} & set(text.split())


@pytest.mark.parametrize(
    "opening",
    [
        *("assistant:", "Assistant: ", "ASSISTANT:", "\n\nassistant: ", "AI: ", "**Assistant:** ", "### Assistant:\n"),
        *("### Response:\n", "<|im_start|>assistant\n", "<|start_header_id|>assistant<|end_header_id|>\n\n"),
        *("<|assistant|>\n", "<start_of_turn>model\n", "[/INST] ", " Assistant: Assistant: ", "助手\uff1a", "User: "),
        "<|im_start|>assistant\nAssistant: ",
    ],
)
def test_a_marker_of_its_own_is_stripped(opening: str) -> None:
    assert answered(f"{opening}It is so.\nYes: it is.") == ("It is so.\nYes: it is.", None)


@pytest.mark.parametrize(
    "text",
    [
        "The user: a person who uses it. The assistant: a program.",
        "There are two sides.\nThe user: a person.\nUsers: many of them.\nUser stories: few.",
        "- User: a person\n- Assistant: a program\n* Human: the same",
        "1. User: a person\n2. Assistant: a program",
        "**User:** a person\n**Assistant:** a program",
        "Use this:\n```yaml\nHost: a\n\nUser: admin\n```\nThat is all.",
        "~~~\nuser: admin\n~~~",
        "```\nuser: it never closes",
        "Call it with\n\n    User: admin\n\nand see.",
        "Connect with these:\nHost: 10.0.0.5\nUser: admin\nPassword: secret",
        "ChatML writes `<|im_start|>user` and Llama `[INST]` first.",
        "<think>\nUser: wants tea.\n<|im_start|> is no word.\n</think>\nTea, then.",
        "assistant\nuser\nhuman",
        "User",
        "a < b, a <| b, [IN], [1], <b>bold</b>, #### four, ### Headings: all",
        "System: Linux\nMemory: 8 GB",
        "Human beings: many.\nHumans\nhuman-made: few.",
        "   \n  leading blanks",
        " " * 40 + "deep\n" + " " * 40 + "user: x",
        "",
        "\n",
        "#",
    ],
)
def test_ordinary_text_survives(text: str) -> None:
    assert answered(text) == (text, None)


def test_a_mark_that_lacks_its_role_is_none_of_the_answer() -> None:
    assert answered("<|im_start|>") == ("", Ending.ROLE_MARKER)


def test_what_comes_of_nothing_but_markers() -> None:
    assert answered("user: user: user: ") == ("", None)
