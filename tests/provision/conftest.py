"""A stack whose broker has listeners for devices, and `edgevoice provision` on it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.mqtt.settings import MqttSettings
from agent.stack import Part, Stack, StackSettings


@dataclass(frozen=True)
class Provision:
    """The command, run where devices' folders may lie."""

    stack: Stack
    folder: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str, status: int = 0) -> str:
        """What it says: on stdout, or on stderr where it is to fail."""
        where = ["--mosquitto", str(self.stack.broker.files.root), "--pid-file", str(self.stack.broker.pid_file)]
        found = main(["provision", *where, *words])
        said = self.capsys.readouterr()
        assert found == status, said
        return said.err if status else said.out

    def mqtt(self, name: str, *, out: str | None = None) -> MqttSettings:
        """How the device `name` connects with what is in its folder."""
        files, (with_password, with_certificate) = self.folder / (out or name), self.stack.broker.files.device_ports
        tls = MqttSettings(port=with_password, tls=True, ca_file=files / "ca.pem")
        if (files / "device.pem").exists():
            certificate = {"cert_file": files / "device.pem", "key_file": files / "device.key"}
            return tls.model_copy(update={"port": with_certificate, **certificate})
        return tls.model_copy(update={"username": name, "password_file": files / "password"})


@pytest.fixture(scope="module")
async def stack(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    """Broker and agent."""
    async with Stack(StackSettings.scripted(devices=True, parts=(Part.BROKER, Part.AGENT))) as running:
        yield running


@pytest.fixture
def provision(stack, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    return Provision(stack, tmp_path, capsys)
