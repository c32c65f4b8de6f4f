"""What mosquitto/README.md tells a person to type can be typed, and gives a broker that works."""

import argparse
import asyncio
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.commands import provision
from agent.mqtt.login import refusals
from agent.mqtt.settings import MqttSettings
from agent.stack.child import Child
from agent.stack.ports import free_port, until_listening

pytestmark = pytest.mark.once

FOLDER = Path(__file__).parents[2] / "mosquitto"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)


def test_the_commands_are_those_there_are():
    parser = argparse.ArgumentParser(exit_on_error=False)
    provision.add_arguments(parser)
    lines = re.findall(r"^sudo edgevoice provision (.*)$", "\n".join(BLOCKS), re.MULTILINE)

    assert len(lines) > 5
    for line in lines:
        parser.parse_args(shlex.split(line, comments=True))


def test_the_files_it_names_are_there():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (FOLDER / target).exists(), target
    for file in FOLDER.iterdir():
        assert file.name == "README.md" or f"`{file.name}`" in README


@pytest.mark.anyio
@pytest.mark.skipif(os.geteuid() != 0, reason="it is for root")
async def test_the_installation_gives_a_broker_that_lets_the_agent_in(broker_folder):
    """As it stands, in another folder, on another port."""
    etc, port = broker_folder / "etc", free_port()
    etc.mkdir()
    block = next(block for block in BLOCKS if "mosquitto_passwd" in block)
    typed = [line for line in block.splitlines() if not re.search(r"apt-get|systemctl", line)]
    script = "\n".join(typed).replace("sudo ", "").replace("/etc/mosquitto", str(etc))
    # Which would ask at the terminal.
    script = re.sub(r'mosquitto_passwd (\S+ "\$user")', r"mosquitto_passwd -b \1 secret", script)
    await asyncio.to_thread(subprocess.run, ["sh", "-ec", script], cwd=FOLDER, check=True, capture_output=True)
    conf = (etc / "mosquitto.conf").read_text(encoding="utf-8").replace("/etc/mosquitto", str(etc))
    conf = conf.replace("listener 1883 ", f"listener {port} ").replace("/var/lib/mosquitto/", f"{broker_folder}/")
    (etc / "mosquitto.conf").write_text(conf, encoding="utf-8")

    child = Child(
        "mosquitto",
        ["/usr/sbin/mosquitto", "-c", str(etc / "mosquitto.conf")],
        log=broker_folder / "log",
        ready=lambda: until_listening(port),
    )
    try:
        await child.start()
        users = [
            MqttSettings(port=port, username=user, password=SecretStr("secret"))
            for user in ("agent", "bridge", "nobody")
        ]
        found = await refusals(users)
    finally:
        await child.stop()
    assert [refusal is None for refusal in found] == [True, True, False]
    assert (etc / "passwords").stat().st_mode & 0o077 == 0
