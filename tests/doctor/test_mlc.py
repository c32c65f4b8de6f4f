"""What is said of MLC LLM where it is missing, broken in one of the known ways, or works."""

import json
import os
import subprocess
import sys

import pytest

from agent.doctor import mlc as check
from agent.doctor.finding import Level
from agent.doctor.site import Site
from agent.settings import Settings

NAMED = {"name": "mlc", "options": {"model": "none"}}
GOOD_TVM = """\
__version__ = "0.22"
class cuda:
    def __init__(self, number):
        self.exist = False
"""


@pytest.fixture
def packages(tmp_path):
    """Makes a folder of modules and of distributions."""

    def make(modules=None, distributions=None):
        folder = tmp_path / "packages"
        folder.mkdir()
        for name, code in (modules or {}).items():
            (folder / name).mkdir()
            if code is not None:
                (folder / name / "__init__.py").write_text(code)
        for name, version in (distributions or {}).items():
            info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        return folder

    return make


@pytest.fixture
def mlc(packages, tmp_path, monkeypatch):
    """What is said of MLC with these on the path."""

    def examine(modules=None, distributions=None, *, llm=None):
        folder = packages(modules, distributions)
        monkeypatch.syspath_prepend(folder)
        settings = Settings.model_validate({"home": tmp_path, **({"llm": llm} if llm else {})})
        (found,) = check.check(Site(settings, root=tmp_path, environ={**os.environ, "PYTHONPATH": str(folder)}))
        return found

    return examine


def test_nobody_needs_it_who_does_not_ask_for_it(mlc):
    found = mlc()

    assert (found.level, found.fix) == (Level.OK, None)


def test_who_asks_for_it_is_told_where_to_get_it(mlc):
    found = mlc(llm=NAMED)

    assert found.level is Level.FAIL
    assert "no module mlc_llm" in found.message
    assert "systemd/README.md" in found.fix


@pytest.mark.parametrize(
    ("modules", "told"),
    [
        (
            {"tvm": "raise OSError('libcudart.so.12: cannot open shared object file: No such file or directory')"},
            "`import tvm` fails: the shared library libcudart.so.12 is not found",
        ),
        ({"mlc_llm": "import tvm"}, "`import tvm` fails: there is no module tvm"),
        ({"tvm": GOOD_TVM}, "`import mlc_llm` fails: there is no module mlc_llm"),
        ({"tvm": GOOD_TVM, "mlc_llm": "import tvm_ffi"}, "ModuleNotFoundError: No module named 'tvm_ffi'"),
        ({"tvm": GOOD_TVM, "mlc_llm": None}, "mlc_llm is a folder without code in it"),
        ({"tvm": GOOD_TVM, "mlc_llm": "raise ValueError('two\\nlines')"}, "ValueError: two lines"),
        ({"tvm": "import os, signal; os.kill(os.getpid(), signal.SIGILL)"}, "ended Python with SIGILL"),
        ({"tvm": "import os; os._exit(3)"}, "ended Python: without a word"),
        ({"mlc_chat": ""}, "before 2024"),
    ],
)
def test_each_way_it_can_be_broken_has_its_line(mlc, modules, told):
    found = mlc(modules)

    assert found.level is Level.WARN
    assert told in found.message
    assert found.fix


def test_the_missing_library_of_cuda_comes_with_jetpack(mlc):
    broken = "raise OSError('libcublas.so.12: cannot open shared object file: No such file or directory')"
    found = mlc({"tvm": broken}, llm=NAMED)

    assert found.level is Level.FAIL
    assert "nvidia-jetpack" in found.fix


def test_the_empty_package_of_the_index_is_told_from_the_real_one(mlc):
    found = mlc(distributions={"mlc-llm": "0.1", "mlc-ai": "0.1"})

    assert found.level is Level.WARN
    assert "mlc-llm 0.1, mlc-ai 0.1 from the package index" in found.message
    assert "pip uninstall mlc-llm mlc-ai" in found.fix


def test_one_that_works_is_named_with_its_versions_whatever_it_prints(mlc):
    found = mlc({"tvm": GOOD_TVM, "mlc_llm": "__version__ = '0.20'\nprint('hello')\n"})

    assert found.level is Level.OK
    assert "mlc_llm 0.20, tvm 0.22" in found.message


def test_the_command_tries_it_in_a_process_of_its_own(packages):
    folder = packages({"tvm": "raise SystemExit('nothing works')", "mlc_llm": ""})
    path = os.pathsep.join((str(folder), os.environ["PYTHONPATH"]))
    argv = [sys.executable, "-m", "agent", "doctor", "--json", "--no-broker"]

    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}, cwd=folder
    )

    assert done.stderr == ""
    (found,) = [finding for finding in json.loads(done.stdout) if finding["name"] == "mlc"]
    assert found["level"] == "warn"
    assert "`import tvm` fails: SystemExit: nothing works" in found["message"]
