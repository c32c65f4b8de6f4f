"""A web server and a home of its own for each test."""

import pytest

from agent.models import download, web
from tests.models.web_server import WebServer


@pytest.fixture
def server():
    with WebServer() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_network_of_this_machine(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(download, "WAITS_S", (0.0, 0.0, 0.0))
    monkeypatch.setattr(web, "TIMEOUT_S", 0.5)


@pytest.fixture
def models_dir(tmp_path):
    return tmp_path / "home" / "models"


@pytest.fixture
def said():
    """The lines that a person was told."""
    return []
