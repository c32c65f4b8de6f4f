"""A suite is read from YAML or JSON; what is wrong with it is told by line and field, before anything is asked."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.contract.messages import Request
from agent.evaluation.reading import SuiteError, read_suite
from agent.evaluation.suite import Suite

SUITE = """\
defaults:
  params: {temperature: 0, max_tokens: 40}
  vars: {tone: kind}
configurations:
  plain: {}
  params:  # a name like that of a field
    system: Be brief.
    params: {max_tokens: 20}
expect: {no_loop: true}
questions:
  - ask: What is it?
    vars: {place: here}
    expect:
      contains: it
  - name: two turns
    expect: {max_words: 9}
    conversation:
      - ask: One.
      - ask: Two.
        params: {seed: 7}
        expect: {max_words: 3}
"""


def read(folder, text, name="suite.yaml"):
    (folder / name).write_text(text, encoding="utf-8")
    return read_suite(folder / name)


def refused(folder, text, name="suite.yaml"):
    """What is said of it, behind its path."""
    with pytest.raises(SuiteError) as caught:
        read(folder, text, name)
    assert caught.value.exit_status == 2
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder / name}")


def test_each_layer_goes_over_the_one_before(tmp_path):
    suite = read(tmp_path, SUITE)
    first, second = suite.questions
    assert suite.manner("plain", first, first) == {
        "params": {"temperature": 0.0, "max_tokens": 40},
        "vars": {"tone": "kind", "place": "here"},
    }
    assert suite.manner("params", second, second.turns[1]) == {
        "params": {"temperature": 0.0, "max_tokens": 20, "seed": 7},
        "vars": {"tone": "kind"},
        "system": "Be brief.",
    }
    expected = [suite.expected(second, turn) for turn in second.turns]
    assert [(one.max_words, one.no_loop) for one in expected] == [(9, True), (3, True)]
    assert [question.label for question in suite.questions] == ["What is it?", "two turns"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("contains: it", "contain: it", ":14: questions.0.expect.contain: unknown field; there are contains, "),
        ("temperature: 0", "temperature: 9", ":2: defaults.params.temperature: Input should be less than or"),
        ("max_tokens: 20", "tokens: 20", ":8: configurations.params.params.tokens: unknown field; there are temp"),
        ("system: Be", "sytem: Be", ":7: configurations.params.sytem: unknown field; there are reply_mode, model"),
        ("contains: it", "contains: 4", ":14: questions.0.expect.contains: 4 is no text: put it in quotes"),
        ("contains: it", "contains: [it, 4]", ":14: questions.0.expect.contains: 4 is no text: put it in quotes"),
        ("contains: it", "regex: (", ":14: questions.0.expect.regex: /(/ is no regular expression: missing"),
        ("contains: it", "heard: it", ":11: questions.0: expect.heard is for spoken questions; this one is typed"),
        ("ask: What is it?", "name: x", ":11: questions.0: exactly one of ask, audio, messages, conversation is"),
        ("ask: One.", "ask: One.\n        audio: a.wav", ":19: questions.1.conversation.0.audio: there is no file"),
        ("vars: {place: here}", "id: mine", ":11: questions.0: id cannot be given here; leave it out"),
        ("vars: {tone: kind}", "text: Hi", ":1: defaults: text cannot be given here; leave it out"),
        ("  plain: {}", "  a b: {}", ":5: configurations.a b"),
        ("    expect:\n", "    ask: Again?\n    expect:\n", ":13: 'ask' is given twice"),
        ("questions:", "questions: [", ":11: "),
        ("questions:", "question:", ": questions: Field required"),
    ],
)
def test_a_mistake_is_told_by_line_and_field(tmp_path, old, new, told):
    assert old in SUITE
    assert told in refused(tmp_path, SUITE.replace(old, new, 1))


@pytest.mark.parametrize("text", ["", "- a", "&a [*a]", "a: !!python/object:os.system {}", "? [a]\n: b", "\x00"])
def test_what_is_no_suite_at_all_is_one_line(tmp_path, text):
    assert refused(tmp_path, text).startswith((":", " "))


def test_json_says_the_same_and_needs_no_package(tmp_path, monkeypatch):
    yaml = read(tmp_path, SUITE)
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.delitem(sys.modules, "agent.evaluation.yaml_tree")
    assert read(tmp_path, yaml.model_dump_json(exclude_unset=True, by_alias=True), "suite.json") == yaml
    assert refused(tmp_path, '{\n"questions": ]', "suite.json").startswith(":2: ")
    assert refused(tmp_path, '{"questions": []}', "suite.json").startswith(": questions: ")
    assert "pip install 'edgevoice[eval]'" in refused(tmp_path, SUITE)


def test_a_clip_lies_beside_the_suite(tmp_path):
    (tmp_path / "clip.wav").write_bytes(b"RIFF")
    [question] = read(tmp_path, "questions: [{audio: clip.wav, expect: {heard: light}}]").questions
    assert question.question == {"audio": "UklGRg=="}
    assert question.label == "clip.wav"


def test_a_clip_without_anything_in_it_is_refused_before_anything_is_asked(tmp_path):
    (tmp_path / "clip.wav").touch()
    assert refused(tmp_path, "questions:\n  - audio: clip.wav").startswith(":2: questions.0.audio: the file ")


@pytest.mark.parametrize("name", ["suite.yaml", "suite.json"])
def test_a_byte_order_mark_is_skipped(tmp_path, name):
    [question] = read(tmp_path, '\ufeff{"questions": [{"ask": "Hi"}]}', name).questions
    assert question.ask == "Hi"


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SuiteError, match=r"none\.yaml cannot be read"):
        read_suite(tmp_path / "none.yaml")


MANNERS = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["a", "b"]),
        "system": st.sampled_from(["Be brief.", "Be kind."]),
        "params": st.fixed_dictionaries(
            {}, optional={"temperature": st.sampled_from([0.0, 1.0]), "seed": st.integers(0, 9)}
        ),
        "vars": st.dictionaries(st.sampled_from("xyz"), st.text("ab"), max_size=3),
    },
)


@given(MANNERS, MANNERS, MANNERS)
def test_whatever_the_layers_say_the_highest_that_says_it_counts(defaults, configuration, own):
    suite = Suite.model_validate_json(
        json.dumps({"defaults": defaults, "configurations": {"a": configuration}, "questions": [{"ask": "Hi", **own}]})
    )
    [question] = suite.questions
    request = Request.model_validate(suite.manner("a", question, question))
    layers = (own, configuration, defaults)
    for name in ("model", "system"):
        assert getattr(request, name) == next((layer[name] for layer in layers if name in layer), None)
    for name in ("temperature", "seed"):
        said = [layer["params"][name] for layer in layers if name in layer.get("params", {})]
        assert getattr(request.params, name) == (said[0] if said else None)
    assert request.vars == {**defaults.get("vars", {}), **configuration.get("vars", {}), **own.get("vars", {})}


NAMES = st.sampled_from([*Suite.model_fields, "ask", "contains", "params", "temperature", "x"])
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
)


@given(TREES)
def test_any_tree_is_a_suite_or_refused(tree):
    try:
        suite = Suite.model_validate_json(json.dumps(tree))
    except ValidationError:
        return
    assert suite.questions
