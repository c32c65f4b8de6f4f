"""The page about suites, and the example, are true."""

import re
from pathlib import Path

import pytest

from agent.contract.messages import Request
from agent.evaluation import suite as suites
from agent.evaluation.expectations import Expectations
from agent.evaluation.reading import read_suite

pytestmark = pytest.mark.once

FOLDER = Path(suites.__file__).parent
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")


def first_cells(header):
    table = PAGE.split(f"| {header} |", 1)[1].split("\n\n", 1)[0]
    return [name for line in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", line.split("|")[1])]


def test_every_expectation_has_a_row():
    assert first_cells("expectation") == [field.alias or name for name, field in Expectations.model_fields.items()]


def test_every_field_of_a_question_is_named():
    own = suites.Question.model_fields.keys() - Request.model_fields.keys() | {"audio", "messages"}
    assert set(first_cells("field of a question")) == own
    taken = re.search(r"take the fields of a request .*?: (.*?)\. They", PAGE)
    assert taken
    assert set(re.findall(r"`(\w+)`", taken[1])) == Request.model_fields.keys() - suites.Manner.closed


def test_the_suite_it_shows_and_the_example_are_suites(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "lights.wav").write_bytes(b"RIFF")
    shown = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert shown
    (tmp_path / "suite.yaml").write_text(shown[1], encoding="utf-8")
    assert len(read_suite(tmp_path / "suite.yaml").questions) == 3
    assert read_suite(FOLDER.parents[1] / "examples" / "eval.yaml").configurations.keys() == {"concise", "helpful"}
