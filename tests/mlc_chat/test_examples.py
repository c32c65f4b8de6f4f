"""The programs of MLC's own introduction run as they were written there, but for their imports."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent import mlc_chat
from agent.engines.llm_llamacpp import LlamaCpp, LlamaCppOptions
from agent.settings import Settings
from tests.mlc_chat.conftest import NAME

pytestmark = pytest.mark.once

IMPORTS = """
from agent import mlc_chat
from agent.mlc_chat import ChatModule, ChatConfig, ConvConfig
from agent.mlc_chat.callback import StreamToStdout
"""

GET_STARTED = """
cm = ChatModule(model="Llama-2-7b-chat-hf-q4f16_1")

output = cm.generate(
   prompt="What is the meaning of life?",
   progress_callback=StreamToStdout(callback_interval=2),
)

print(f"Statistics: {cm.stats()}\\n")

output = cm.generate(
   prompt="How many points did you list out?",
   progress_callback=StreamToStdout(callback_interval=2),
)
"""

CONFIGURE = """
conv_config = ConvConfig(system='Please show as much happiness as you can when talking to me.')
chat_config = ChatConfig(max_gen_len=256, conv_config=conv_config)
cm = mlc_chat.ChatModule('Llama-2-7b-chat-hf-q4f16_1', chat_config=chat_config)

output = cm.generate(
   prompt="What is one plus one?",
   progress_callback=StreamToStdout(callback_interval=2),
)
"""

RESET = """
conv_config = ConvConfig(system='Please show as much sadness as you can when talking to me.')
chat_config = ChatConfig(max_gen_len=128, conv_config=conv_config)
cm.reset_chat(chat_config)

output = cm.generate(
   prompt="What is one plus one?",
   progress_callback=StreamToStdout(callback_interval=2),
)
"""

RAW_TEXT = """
conv_config = ConvConfig(stop_tokens=[2,], add_bos=True, stop_str="[INST]")
chat_config = ChatConfig(conv_config=conv_config, conv_template="LM")
cm = ChatModule('Llama-2-7b-chat-hf-q4f16_1', chat_config=chat_config)

system_prompt = "<<SYS>>\\nYou are a helpful, respectful and honest assistant.\\n<</SYS>>\\n\\n"
inst_prompt = "What is mother nature?"

output = cm.generate(
   prompt=f"[INST] {system_prompt+inst_prompt} [/INST]",
   progress_callback=StreamToStdout(callback_interval=2),
)

output = cm.generate(
   prompt="Life is a quality that distinguishes",
   progress_callback=StreamToStdout(callback_interval=2),
)
"""


def run(program):
    """What the program prints."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS + program], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def llamacpp(registered):
    """A real model under the name, with short answers."""
    if reason := LlamaCpp.missing(LlamaCppOptions(), Settings().models_dir):
        pytest.skip(reason)
    registered("llamacpp", settings={"max_tokens": 24}, context_window=512, slots=1)


def test_verify_the_installation():
    assert run("print(ChatModule)") == "<class 'agent.mlc_chat.chat_module.ChatModule'>\n"


def test_get_started(registered):
    registered(answer="{asked}")
    _, first, rates, nothing, second = run(GET_STARTED).splitlines()
    assert first == "What is the meaning of life?"
    assert re.fullmatch(r"Statistics: prefill: \d+\.\d tok/s, decode: \d+\.\d tok/s", rates)
    assert nothing == ""
    assert second == "What is the meaning of life? / How many points did you list out?"


def test_configure_and_reset(registered):
    registered(answer="{asked}")
    happy, sad = run(CONFIGURE + RESET).splitlines()[1:]
    assert happy == "Please show as much happiness as you can when talking to me. / What is one plus one?"
    assert sad == "Please show as much sadness as you can when talking to me. / What is one plus one?"


def test_raw_text(registered):
    registered(answer="({text})")
    _, first, second = run(RAW_TEXT).splitlines()
    assert first == "("  # up to the stop string
    assert second == "(Life is a quality that distinguishes)"


@pytest.mark.embedded
@pytest.mark.usefixtures("llamacpp")
def test_get_started_with_a_real_model():
    said = run(GET_STARTED + 'print("END", bool(output))')
    rates = re.search(r"Statistics: prefill: (\d+\.\d) tok/s, decode: (\d+\.\d) tok/s\n\n", said)
    assert rates
    assert min(map(float, rates.groups())) > 0
    assert said.endswith("END True\n")


@pytest.mark.embedded
@pytest.mark.usefixtures("llamacpp")
def test_raw_text_with_a_real_model():
    said = run(RAW_TEXT + 'print("\\nCOUNTED", cm.generate(prompt="1, 2, 3, 4, 5, 6, 7,"))')
    assert NAME in said
    assert re.search(r"COUNTED +8, 9", said)


def test_the_program_in_the_readme_works(registered):
    readme = Path(mlc_chat.__file__).with_name("README.md").read_text(encoding="utf-8")
    [program] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    registered(answer="{asked}")
    _, first, second, rates = run(program).splitlines()
    assert first == "Answer like a pirate. / What is one plus one?"
    assert second == f"{first} / Why?"
    assert rates.startswith("prefill: ")
