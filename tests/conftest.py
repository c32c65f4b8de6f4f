"""Fixtures that every test may use."""

import os
import signal
from pathlib import Path

import hypothesis
import pytest

from agent.stack.broker import USERS, Broker
from agent.stack.folder import run_folder

ROOT = Path(__file__).parents[1]

hypothesis.settings.register_profile("edgevoice", deadline=None)
hypothesis.settings.load_profile("edgevoice")


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_this_machine(tmp_path_factory):
    """No `.env`, no `edgevoice.toml` and no variable of who runs the tests, here and in our children."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("EDGEVOICE_") and name != "EDGEVOICE_HOME":  # where the models are
                patch.delenv(name)
        patch.setenv("PYTHONPATH", str(ROOT))  # for children, where the package is not installed
        patch.setenv("OPENBLAS_NUM_THREADS", "1")  # hundreds of them import numpy, whose threads would have no work
        patch.chdir(tmp_path_factory.mktemp("settings"))
        yield


@pytest.fixture
def broker_folder():
    with run_folder() as folder:
        yield folder


@pytest.fixture
async def broker(broker_folder):
    """A Mosquitto from the shipped files, with the users `agent`, `bridge`, `demo` and `other`."""
    async with Broker(broker_folder, users=(*USERS, "other"), operators=("operator",)) as running:
        yield running


def pytest_configure():
    """What is started by `nohup`, or with `&`, ignores signals, and so would every program that the tests start."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
