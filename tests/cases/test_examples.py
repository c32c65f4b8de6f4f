"""The scripts in examples/ do what they say."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

EXAMPLES = Path(__file__).parents[2] / "examples"
SAID = 'Hello, "how" are\nyou? $HOME \\'


def run(script, *args, **environment):
    assert shutil.which("jq"), "apt-get install jq"
    env = {**os.environ, **environment}
    return subprocess.run([EXAMPLES / script, *args], capture_output=True, text=True, timeout=60, check=False, env=env)


@pytest.fixture(params=["request.sh", "request-mqtt.sh"])
def example(request, stack):
    """One of the scripts, and where it asks."""
    return request.param, {"URL": stack.url, "XDG_CONFIG_HOME": str(stack.client_options)}


def test_an_answer_is_shown_as_an_array(example):
    script, where = example
    done = run(script, SAID, **where)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [{"role": "assistant", "content": f"You said: {SAID}"}]


def test_a_model_may_be_named(example):
    script, where = example
    done = run(script, "Hi", MODEL="poet", **where)
    assert json.loads(done.stdout)[0]["content"] == "A rose is a"


def test_what_is_refused_is_shown_and_fails(example):
    script, where = example
    done = run(script, "Hi", MODEL="nobody", **where)
    assert done.returncode != 0
    assert "model" in json.loads(done.stdout)["error"]["message"]
