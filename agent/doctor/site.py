"""What is examined: a machine, its settings and its environment. Tests put a folder in the place of the machine."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from agent.engines.settings import AUTO, EngineSettings
from agent.mqtt.settings import MqttSettings
from agent.settings import Settings
from agent.storage import in_container


class BridgeSettings(Protocol):
    """As much of the bridge's settings as concerns us; the agent's code imports nothing of the bridge."""

    @property
    def host(self) -> str:
        """Address to listen on."""

    @property
    def port(self) -> int:
        """TCP port to listen on."""

    @property
    def client(self) -> str:
        """The bridge's own level in topics."""

    @property
    def mqtt(self) -> MqttSettings:
        """How the bridge reaches the broker."""

    @property
    def keys_path(self) -> Path:
        """The file of its API keys."""


def pip_install(*targets: str) -> str:
    """The command that installs `targets` for this very interpreter."""
    return shlex.join([sys.executable, "-m", "pip", "install", *targets])


@dataclass(frozen=True)
class Site:
    """One machine, as one user with one set of settings meets it."""

    settings: Settings
    bridge: BridgeSettings | None = None
    """None where its settings cannot be read."""
    root: Path = Path("/")
    """Where the system's own files are."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    machine: str = field(default_factory=platform.machine)
    """Architecture: x86_64, aarch64."""
    uid: int = field(default_factory=os.geteuid)
    groups: frozenset[int] = field(default_factory=lambda: frozenset((*os.getgroups(), os.getegid())))

    @property
    def stages(self) -> dict[str, EngineSettings]:
        """Every engine that the settings ask for, by the name of its setting."""
        settings = self.settings
        models = {f"models.{name}": model for name, model in settings.models.items()}
        return {"stt": settings.stt, "llm": settings.llm, "tts": settings.tts, **models}

    @property
    def named(self) -> frozenset[str]:
        """The engines that are asked for by name."""
        return frozenset(engine.name for engine in self.stages.values()) - {AUTO}

    @property
    def in_container(self) -> bool:
        """Whether this is the inside of an application's container."""
        return in_container(self.root, self.environ)

    def file(self, path: str) -> Path:
        """`path` of the machine."""
        return self.root / path.lstrip("/")

    def text(self, path: str) -> str | None:
        """What is in a small file; None where it cannot be read."""
        try:
            return self.file(path).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
        except OSError:
            return None

    def program(self, name: str, *places: str) -> str | None:
        """Where the program `name` is: on PATH, or in a folder of the machine."""
        folders = (self.environ.get("PATH", os.defpath), *(str(self.file(place)) for place in places))
        return shutil.which(name, path=os.pathsep.join(folders))

    def output(self, argv: Sequence[str], *, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """What a program says; OSError where it cannot be started or takes too long."""
        try:
            return subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
                env=dict(self.environ),
            )
        except subprocess.TimeoutExpired as exc:
            raise TimeoutError(f"{argv[0]} did not end within {timeout_s:g} s") from exc
