"""The bridge does what /openapi.json says, whatever it is asked: schemathesis against the real one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.stack import Part, Stack, StackSettings
from tests.security.conftest import make_key

pytestmark = [pytest.mark.anyio, pytest.mark.once]

LONG = os.environ.get("EDGEVOICE_LONG") == "1"
EXAMPLES = 500 if LONG else 15
UNLOAD, DRAIN = "/v1/admin/models/{name}/unload", "/v1/admin/drain"
BUT_THOSE = ("--exclude-path", UNLOAD, "--exclude-path", DRAIN)
COVERAGE = ("--phases", "coverage")
REMADE = "use_after_free"
"""The check that what was deleted is gone: a PUT or a reset with its name makes a conversation or template anew."""
MAY_FAIL = ("--exclude-checks", f"not_a_server_error,{REMADE}")


@pytest.fixture
async def stack():
    """All routes are offered, and nobody is counted."""
    environment = {"EDGEVOICE_BRIDGE_RATE_PER_S": "0", "EDGEVOICE_BRIDGE_WRONG_KEYS_PER_S": "0"}
    settings = StackSettings.scripted(operators=("operator", "bridge"), environment=environment)
    async with Stack(settings) as running:
        yield running


def examine(stack, key, *options, examples=EXAMPLES):
    """What schemathesis says, where it finds a fault."""
    program, settings = Path(sys.executable).with_name("schemathesis"), Path(__file__).with_name("schemathesis.toml")
    argv = [str(program), "--config-file", str(settings), "run", f"{stack.url}/openapi.json", "--no-color"]
    argv += ["--checks", "all", "--max-examples", str(examples), *([] if LONG else ["--seed", "1"]), *options]
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, "API_KEY": key}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(3_600 if LONG else 180)
async def test_a_bridge_that_is_served_by_an_agent(stack):
    # Without keys, the key of the document is not asked for.
    examine(stack, "", "--exclude-checks", "ignored_auth,missing_required_header", *COVERAGE, *BUT_THOSE)
    examine(stack, make_key(stack, "fuzz", "--operator"), "--exclude-checks", REMADE, *BUT_THOSE)
    _check_logs(stack)


async def test_a_bridge_that_is_left_alone(stack):
    key = make_key(stack, "fuzz", "--operator")
    examine(stack, key, "--include-path", UNLOAD, *MAY_FAIL, examples=3)
    examine(stack, key, "--include-path", DRAIN, *MAY_FAIL, examples=1)
    examine(stack, key, *COVERAGE, *MAY_FAIL)
    await stack.kill(Part.BROKER)
    # Each request waits for the connection a while.
    examine(stack, key, "--phases", "fuzzing", *MAY_FAIL, "--workers", "8", examples=1)
    _check_logs(stack)


def _check_logs(stack):
    for part in (Part.AGENT, Part.BRIDGE):
        assert "Traceback" not in stack.log(part).read_text()
