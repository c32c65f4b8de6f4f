"""A chat as its program meets it: memory, manners, raw text, rates, and an end in order."""

import gc
import logging
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import pytest

from agent.contract.errors import ErrorCode
from agent.errors import EngineError
from agent.mlc_chat import ChatConfig, ChatModule, ConvConfig, GenerationConfig
from tests.mlc_chat.conftest import NAME

pytestmark = pytest.mark.once

ALL_ASKED = "{asked}"
RATES = re.compile(r"prefill: \d+\.\d tok/s, decode: \d+\.\d tok/s")


def config(chat=None, **conv):
    return ChatConfig(conv_config=ConvConfig(**conv), **(chat or {}))


def assert_gone(pid):
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_second_question_knows_the_first_until_the_chat_is_reset(chat):
    cm = chat(answer=ALL_ASKED)
    assert cm.generate("One?") == "One?"
    assert cm.generate("Two?") == "One? / Two?"
    cm.reset_chat()
    assert cm.generate("Three?") == "Three?"
    assert cm.generate("Four?", stateless=True) == "Four?"


def test_who_the_model_is_changes_with_a_reset_and_stays_with_a_bare_one(chat):
    cm = chat(config(system="Be happy."), answer=ALL_ASKED)
    assert cm.generate("Who?") == "Be happy. / Who?"
    cm.reset_chat(config(system="Be sad."))
    assert cm.generate("Who?") == "Be sad. / Who?"
    cm.reset_chat()
    assert cm.generate("Who?") == "Be sad. / Who?"
    cm.reset_chat(ChatConfig())
    assert cm.generate("Who?") == "Who?"


def test_the_nearest_word_counts(chat):
    answer = "one two three four five six"
    cm = chat(settings={"max_tokens": 5, "system": "Be yourself."}, answer=answer)
    assert cm.generate("Count.") == "one two three four five"
    cm.reset_chat(ChatConfig(max_gen_len=4))
    assert cm.generate("Count.") == "one two three four"
    assert cm.generate("Count.", GenerationConfig(max_gen_len=2)) == "one two"
    assert cm.generate("Count.", GenerationConfig(temperature=0.5)) == "one two three four"


def test_settings_say_who_a_model_is_and_the_program_says_it_instead(chat):
    cm = chat(settings={"system": "Be yourself."}, answer=ALL_ASKED)
    assert cm.generate("Who?") == "Be yourself. / Who?"
    cm.reset_chat(config(system="Be happy."))
    assert cm.generate("Who?") == "Be happy. / Who?"


def test_an_answer_ends_before_every_stop_string_there_is(chat):
    cm = chat(config(stop_str="three"), answer="one two three four")
    assert cm.generate("Count.") == "one two "
    assert cm.generate("Count.", GenerationConfig(stop="two")) == "one "
    assert cm.generate("Count.", GenerationConfig(stop=["four", "two"])) == "one "


def test_several_answers_are_a_list_and_the_chat_goes_on_with_the_first(chat):
    cm = chat(answer="You said: {asked}")
    assert cm.generate("One?", GenerationConfig(n=2, seed=7)) == ["You said: One?"] * 2
    assert cm.generate("Two?", GenerationConfig(n=1)) == ["You said: One? / Two?"]
    with pytest.raises(ValueError, match="1 or more"):
        cm.generate("Three?", GenerationConfig(n=0))


def test_what_was_said_before_may_be_given(chat):
    said = [["USER", "I am Ada."], ["ASSISTANT", "Hello, Ada."]]
    cm = chat(config(messages=said), answer=ALL_ASKED)
    assert cm.generate("Who am I?") == "I am Ada. / Who am I?"
    cm.reset_chat()
    assert cm.generate("And now?") == "I am Ada. / And now?"


def test_a_long_chat_forgets_its_beginning_and_never_fails(chat):
    cm = chat(config({"max_gen_len": 8}, system="Be brief."), answer=ALL_ASKED, window=60)
    for number in range(40):
        said = cm.generate(f"word {number}", GenerationConfig(max_gen_len=30))
        assert said.startswith("Be brief. / word")
    assert len(cm.generate("What was there?").split()) == 8


def test_a_question_that_is_too_long_costs_no_memory(chat):
    cm = chat(answer=ALL_ASKED, window=60)
    cm.generate("One?")
    with pytest.raises(EngineError) as caught:
        cm.generate("word " * 100)
    assert caught.value.code is ErrorCode.CONTEXT_LENGTH_EXCEEDED
    assert cm.generate("Two?") == "One? / Two?"


def test_raw_text_is_the_prompt_as_it_is_and_nothing_is_remembered(chat, caplog):
    raw = config({"conv_template": "LM"}, stop_tokens=[2], add_bos=True, stop_str="[/END]", system="Be kind.")
    with caplog.at_level(logging.WARNING, "agent.mlc_chat"):
        cm = chat(raw, answer="{text}[/END] and on", settings={"template": "plain"})
    assert "stop_tokens [2]" in caplog.text
    for prompt in ("[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWhat? [/INST]", " Life  is\t<|im_end|>\n "):
        assert cm.generate(prompt) == prompt
    cm.reset_chat(config({"conv_template": "LM"}, separator_style=0, system="Be kind."))
    assert cm.generate("What?") == "System: Be kind.\nUser: What?\nAssistant:[/END] and on"


def test_raw_text_may_be_asked_for_by_style(chat):
    cm = chat(config(separator_style=1, system="Be kind."), answer="{asked}{text}")
    assert cm.generate("Life is") == "Life is"
    assert cm.generate("Love is") == "Love is"


def test_rates_are_told_in_the_words_of_mlc(chat):
    cm = chat(answer="one two three")
    assert cm.stats() == "prefill: 0.0 tok/s, decode: 0.0 tok/s"
    cm.generate("Count, please.")
    assert RATES.fullmatch(cm.stats())
    assert cm.stats() != "prefill: 0.0 tok/s, decode: 0.0 tok/s"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (config(seps=["###"]), r"ConvConfig\.seps: the form .* conv_template='LM'"),
        (config(roles=["A", "B"]), r"ConvConfig\.roles"),
        (config(prefix_tokens=[1]), r"ConvConfig\.prefix_tokens"),
        (config(add_bos=False), r"ConvConfig\.add_bos"),
        (config(separator_style=2), r"ConvConfig\.separator_style"),
        (config(messages=[["A", "Hi"]], offset=0), r"ConvConfig\.offset"),
        (config(messages=[["A", "Hi"], ["B", "Ho"], ["C", "Hu"]]), r"ConvConfig\.messages"),
        (config(messages=[["A", " "]]), "what the user says is empty"),
        (ChatConfig(context_window_size=512), r"ChatConfig\.context_window_size: .*EdgeVoice's settings"),
        (ChatConfig(model_lib="x.so"), r"ChatConfig\.model_lib: .*model_lib_path"),
        (ChatConfig(conv_template="llama-2"), r"ChatConfig\.conv_template: .*say LM or chatml"),
        (ChatConfig(temperature=3.0), "temperature: .*less than or equal to 2"),
        (ChatConfig(max_gen_len=0), "max_gen_len: .*greater than or equal to 1"),
    ],
)
def test_what_cannot_be_honoured_is_refused(chat, given, told):
    with pytest.raises(ValueError, match=told):
        chat(given, settings={"template": "chatml"})


def test_what_has_no_effect_any_more_is_taken(chat):
    cm = chat(config({"mean_gen_len": 64, "shift_fill_factor": 0.3, "local_id": "x", "conv_template": None}, name="x"))
    assert cm.generate("Hi", GenerationConfig(mean_gen_len=64)) == "You said: Hi"


def test_a_field_that_is_not_there_is_an_error():
    kinds: tuple[Any, ...] = (ChatConfig, ConvConfig, GenerationConfig)
    for kind in kinds:
        with pytest.raises(TypeError, match="temprature"):
            kind(temprature=1)


def test_nothing_to_ask_is_an_error(chat):
    with pytest.raises(ValueError, match="what the user says is empty"):
        chat().generate(" ")


def test_what_a_terminal_did_not_read_as_text_is_refused_and_spoils_no_chat(chat):
    cm = chat(answer="{text}")
    with pytest.raises(ValueError, match="not UTF-8"):
        cm.generate("\udcff")
    assert cm.generate("Hi") == "Hi"


def test_a_closed_chat_has_no_process_and_says_so(chat):
    cm = chat()
    pid = cm._engine.pid
    cm.close()
    cm.close()
    assert_gone(pid)
    with pytest.raises(RuntimeError, match="make another"):
        cm.generate("Hi")


def test_a_chat_that_nobody_holds_any_more_ends(registered):
    registered()
    cm = ChatModule(NAME)
    pid = cm._engine.pid
    del cm
    gc.collect()
    assert_gone(pid)


def test_a_model_that_cannot_be_loaded_says_why(registered):
    registered("scripted", needs_bytes=2**50)
    with pytest.raises(EngineError, match="MiB are left") as caught:
        ChatModule(NAME)
    assert caught.value.reason == "out_of_memory"


TALKS = f"""
from agent.mlc_chat import ChatModule
from agent.mlc_chat.callback import StreamToStdout

cm = ChatModule("{NAME}")
print(cm._engine.pid, flush=True)
cm.generate("Hi", progress_callback=StreamToStdout(1))
"""


@pytest.fixture
def talking(registered):
    """Starts a program that chats over the scripted engine; ended with the test, whatever became of it."""
    with ExitStack() as programs:

        def start(**options):
            registered(**options)
            program = subprocess.Popen(
                [sys.executable, "-c", TALKS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            programs.enter_context(program)
            programs.callback(program.kill)
            return program

        yield start


def test_a_program_that_ends_leaves_nothing_behind(talking):
    program = talking(answer="one two")
    said, failed = program.communicate(timeout=60)
    _, pid, answer = said.splitlines()
    assert (answer, failed, program.returncode) == ("one two", "", 0)
    assert_gone(int(pid))


def test_ctrl_c_ends_an_answer_and_the_engine(talking):
    program = talking(answer="one two", piece_delay_s=600.0)
    program.stdout.readline()
    pid = int(program.stdout.readline())
    assert program.stdout.read(3) == "one"
    program.send_signal(signal.SIGINT)
    said, failed = program.communicate(timeout=60)
    assert (said, failed.splitlines()[-1]) == ("\n", "KeyboardInterrupt")
    assert "Exception ignored" not in failed
    assert_gone(pid)


def test_ctrl_c_ends_loading(talking, tmp_path):
    os.mkfifo(tmp_path / "asked")
    program = talking(delay_s=600.0, log=str(tmp_path / "asked"))
    assert "Hello" in (tmp_path / "asked").read_text()  # the question that each engine is asked while it loads
    program.send_signal(signal.SIGINT)
    said, failed = program.communicate(timeout=60)
    assert said.startswith("Using model")
    assert failed.splitlines()[-1] == "KeyboardInterrupt"
    assert "Exception ignored" not in failed
