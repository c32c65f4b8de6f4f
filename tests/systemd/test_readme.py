"""What systemd/README.md tells a person to type can be typed: commands, files and versions are the ones there are."""

import re
import subprocess
from pathlib import Path

import pytest

from agent import profiles
from agent.commands import COMMANDS

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
README = (ROOT / "systemd" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_shell_reads_every_block(block):
    subprocess.run(["bash", "-n"], input=block, text=True, check=True)


def test_the_files_it_names_are_there():
    named = re.findall(r"(?<![\w/.-])((?:systemd|mosquitto)/[\w./-]*\w)", "\n".join(BLOCKS))

    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / "systemd" / target).exists(), target


def test_what_it_links_within_itself_is_there():
    titles = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}

    assert set(re.findall(r"\]\(#([\w-]+)\)", README)) <= anchors


def test_the_commands_and_profiles_exist():
    commands = re.findall(r"(?:as-agent|agent edgevoice|0 agent) (\w+)", "\n".join(BLOCKS))

    assert {"doctor", "models"} <= set(commands) <= set(COMMANDS)
    assert set(re.findall(r"\borin(?:-\d+gb)?\b", README)) <= set(profiles.names())


def test_every_unit_is_installed_and_every_script_used():
    typed = "\n".join(BLOCKS)
    for file in (ROOT / "systemd").iterdir():
        if file.name != "README.md":
            assert file.name in typed, file.name


def test_its_images_are_those_of_the_dockerfile():
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    images = set(re.findall(r"\b(?:dustynv|eclipse-mosquitto)[/:]\S+", "\n".join(BLOCKS)))

    assert images <= set(re.findall(r"IMAGE=(\S+)", dockerfile))
