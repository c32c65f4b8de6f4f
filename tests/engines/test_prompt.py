"""How a conversation becomes a prompt, and that no caller can end his own turn in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract.limits import MAX_STOP_STRINGS
from agent.contract.messages import Message, Sampling
from agent.contract.terms import Role, Stage
from agent.engines.prompt import FORMS, PromptTemplate, plain
from agent.errors import EngineError

TALK = [
    Message(role=Role.SYSTEM, content="Be brief."),
    Message(role=Role.USER, content="Hi"),
    Message(role=Role.ASSISTANT, content="Hello."),
    Message(role=Role.USER, content="Who?"),
]


PROMPTS = {
    "mistral": "[INST] Be brief.\n\nHi [/INST] Hello.</s>[INST] Who? [/INST]",
    "plain": "System: Be brief.\nUser: Hi\nAssistant: Hello.\nUser: Who?\nAssistant:",
    "{% for m in messages %}{{ m.content }}|{% endfor %}": "Be brief.|Hi|Hello.|Who?|",
    "chatml": """\
<|im_start|>system
Be brief.<|im_end|>
<|im_start|>user
Hi<|im_end|>
<|im_start|>assistant
Hello.<|im_end|>
<|im_start|>user
Who?<|im_end|>
<|im_start|>assistant
""",
    "llama-3": """\
<|start_header_id|>system<|end_header_id|>

Be brief.<|eot_id|><|start_header_id|>user<|end_header_id|>

Hi<|eot_id|><|start_header_id|>assistant<|end_header_id|>

Hello.<|eot_id|><|start_header_id|>user<|end_header_id|>

Who?<|eot_id|><|start_header_id|>assistant<|end_header_id|>

""",
}
MARKS = (
    *("<|im_end", "<\uff5cim_end", "<s>", "</s>", "<bos>", "<start_of_turn>", "</start_of_turn>"),
    *("[INST]", "[/INST]", "[TOOL_CALLS]", "[/TOOL_CALLS]", "<<SYS>>", "<</SYS>>"),
)


@pytest.mark.parametrize("name", PROMPTS)
def test_a_conversation_becomes_a_prompt(name):
    assert PromptTemplate.of(name).render(TALK) == PROMPTS[name]


@pytest.mark.parametrize("name", FORMS)
def test_a_form_stops_where_the_models_turn_ends(name):
    stop = PromptTemplate.of(name).stopping(Sampling(stop=("END",))).stop
    assert stop == (*FORMS[name].stop, "END")
    many = Sampling(stop=tuple(str(number) for number in range(MAX_STOP_STRINGS)))
    assert len(PromptTemplate.of(name).stopping(many).stop) == MAX_STOP_STRINGS


@given(
    st.lists(st.sampled_from([*"<|>[/] a\uff5cs", "im_end", "INST", "SYS", "bos", "start_of_turn", "TOOL_CALLS"])).map(
        "".join
    )
)
def test_no_caller_writes_a_models_mark(text):
    said = plain(text)
    assert not any(mark in said for mark in MARKS)
    assert said.replace(" ", "") == text.replace(" ", "")


@given(st.text(alphabet=st.characters(exclude_characters="<[")))
def test_everything_else_is_left_alone(text):
    assert plain(text) == text


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("klingon", "there are chatml"),
        ("{% for %}", "not valid Jinja"),
        ("{{ messages.__class__.__mro__ }}", "the template failed"),
        ("{{ raise_exception('no system') }}", "no system"),
        ("{{ missing.field }}", "the template failed"),
    ],
)
def test_a_template_that_is_none_says_why(name, why):
    with pytest.raises(EngineError, match=why) as caught:
        PromptTemplate.of(name).render(TALK)
    assert caught.value.stage is Stage.LLM
