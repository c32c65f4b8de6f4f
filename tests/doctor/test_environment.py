"""Interpreter, packages and units of systemd: what is said of their ways to be wrong."""

import sys
from importlib import metadata

import pytest

from agent.doctor import interpreter, packages, systemd
from agent.doctor.finding import Level
from agent.settings import Settings


def named(findings, name):
    return [finding for finding in findings if finding.name == name]


@pytest.mark.parametrize(("version", "level"), [((3, 9), Level.FAIL), ((3, 10), Level.OK), ((3, 14), Level.OK)])
def test_a_python_that_is_too_old(version, level):
    assert interpreter.python(version).level is level


@pytest.mark.parametrize(
    ("prefix", "mark", "level"),
    [
        ("/venv", ".dockerenv", Level.WARN),
        ("/venv", "run/.containerenv", Level.WARN),
        ("/venv", "somewhere/else", Level.OK),
        (sys.base_prefix, ".dockerenv", Level.OK),
    ],
)
def test_a_virtual_environment_inside_a_container(site, monkeypatch, prefix, mark, level):
    monkeypatch.setattr(sys, "prefix", prefix)

    (found,) = named(interpreter.check(site({mark: ""})), "environment")

    assert found.level is level
    assert prefix in found.message


def test_a_search_path_that_leads_nowhere(site, tmp_path):
    path = f"{tmp_path}:/nowhere/tvm/python"

    (found,) = named(interpreter.check(site(environ={"PYTHONPATH": path})), "PYTHONPATH")

    assert found.level is Level.WARN
    assert "not there: /nowhere/tvm/python" in found.message
    assert found.fix == "unset PYTHONPATH"


@pytest.fixture
def required(monkeypatch):
    """Lets EdgeVoice ask for these packages."""

    def require(*lines):
        monkeypatch.setattr(metadata, "requires", lambda _: list(lines))

    return require


def test_packages_in_order_are_named_with_their_versions(site, required):
    required("numpy>=1.26", "pydantic<3,>=2.12", 'soxr>=1; extra == "voice"', "tomli>=2; python_version < '3'")

    base, extra = packages.check(site())

    assert (base.name, base.level, extra.name, extra.level) == (
        "packages base",
        Level.OK,
        "packages voice",
        Level.OK,
    )
    assert f"numpy {metadata.version('numpy')}" in base.message
    assert "tomli" not in base.message


def test_a_package_that_is_missing_or_too_old_fails(site, required):
    required("numpy>=999", "no-such-package[all]>=1")

    old, missing = packages.check(site())

    assert (old.level, missing.level) == (Level.FAIL, Level.FAIL)
    assert f"numpy {metadata.version('numpy')} is too old" in old.message
    assert (old.fix or "").endswith("-m pip install 'numpy>=999'")
    assert "no-such-package not installed" in missing.message
    assert (missing.fix or "").endswith("-m pip install edgevoice")


@pytest.mark.parametrize(("engine", "level"), [("auto", Level.WARN), ("coqui", Level.FAIL), ("flite", Level.WARN)])
def test_an_engine_that_is_not_installed_matters_to_who_names_it(site, required, tmp_path, engine, level):
    required("numpy>=1", "no-such-package>=1; extra == 'coqui'")
    settings = Settings.model_validate({"home": tmp_path, "tts": {"name": engine}})

    _, extra = packages.check(site(settings=settings))

    assert extra.level is level
    assert (extra.fix or "").endswith("pip install 'edgevoice[coqui]'")


@pytest.mark.parametrize(
    ("line", "version", "met"),
    [
        ("a>=2.10", "2.9.5", False),
        ("a>=2.10", "2.10", True),
        ("a>=2.10", "2.10.0+cpu", True),
        ("a (>=2,<3)", "3.0", False),
        ("a!=1.5", "1.5.0", False),
        ("a==1.5; extra == 'b'", "1.5", True),
        ("a", "0", True),
    ],
)
def test_versions_are_compared_as_numbers(line, version, met):
    requirement = packages.Requirement.parse(line)

    assert requirement
    assert requirement.met_by(version) is met


def test_who_runs_from_a_folder_is_told_so(site, monkeypatch):
    def nowhere(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", nowhere)

    (found,) = packages.check(site())

    assert found.level is Level.WARN
    assert "not installed" in found.message


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "no unit"),
        ({"etc/systemd/system/edgevoice-agent.service": ""}, "edgevoice-agent.service installed"),
        (
            {
                "etc/systemd/system/edgevoice-agent.service": "",
                "run/systemd/system/x": "",
                "usr/bin/systemctl": "#!/bin/sh\necho active\n",
            },
            "edgevoice-agent.service active",
        ),
    ],
)
def test_units_are_only_told_of(site, files, told):
    (found,) = systemd.check(site(files))

    assert found.level is Level.OK
    assert told in found.message
