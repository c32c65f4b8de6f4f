"""A machine that is a folder, and what `edgevoice doctor` says of the real one."""

import json
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.doctor.site import Site
from agent.settings import Settings


def pytest_collection_modifyitems(items):
    """One Python is enough for what looks at programs, files and a broker."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.once)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def site(tmp_path):
    """Makes a site whose system files are those given; settings are the defaults unless given."""

    def make(files=None, **changes):
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        for name, content in (files or {}).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        programs = root / "usr/bin"
        programs.mkdir(parents=True, exist_ok=True)
        for program in programs.iterdir():
            program.chmod(0o755)
        settings = changes.pop("settings", None) or Settings(home=tmp_path / "home")
        return Site(settings, root=root, **{"environ": {"PATH": str(programs)}, **changes})

    return make


@pytest.fixture
def doctor(capsys):
    """Runs the command and gives its exit status and its findings."""

    def run(*arguments):
        status = main(["doctor", "--json", *arguments])
        return status, json.loads(capsys.readouterr().out)

    return run
