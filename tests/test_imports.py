"""Who may import whom: the arrows of the architecture, read from the code."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
LIBRARIES = set(sys.stdlib_module_names) | {"pydantic", "typing_extensions"}

# Module or package → what it may import beside the standard library, pydantic and itself. The longest prefix decides.
ALLOWED: dict[str, set[str]] = {
    "agent.contract": {"pybase64"},
    "agent.mqtt": {"paho"},
    "agent.mqtt.settings": {"agent.optional_file"},
    "agent.errors": {"agent.contract"},
    "agent.keys": {"agent.contract"},
    "agent.logs": set(),
    "agent.memory": set(),
    "agent.notify": set(),
    "agent.optional_file": set(),
    "agent.signals": set(),
    "agent.title": {"setproctitle"},
    "agent.settings": {
        "agent.profiles",
        "agent.contract",
        "agent.mqtt.settings",
        "agent.engines.settings",
        "agent.interactions.settings",
        "agent.optional_file",
        "agent.metrics.settings",
        "agent.settings_sources",
        "pydantic_settings",
    },
    "agent.settings_reading": {"agent.contract", "agent.errors", "agent.settings", "pydantic_settings"},
    "agent.settings_sources": {"agent.profiles", "pydantic_settings"},
    "agent.ogg_checksum": set(),
    "agent.audio": {"agent.contract", "agent.errors", "agent.ogg_checksum", "numpy", "soundfile", "soxr", "webrtcvad"},
    "agent.audio.riff": {"agent.contract", "agent.errors"},
    "agent.speech_text": {"num2words"},
    "agent.engines.settings": {"agent.contract"},
    "agent.engines.backoff": set(),
    "agent.engines.frames": set(),
    "agent.engines.base": {"agent.contract", "agent.audio"},
    "agent.engines.registry": {"agent.contract", "agent.errors", "agent.engines.base", "agent.engines.settings"},
    "agent.engines.prompt": {"agent.contract", "agent.errors", "jinja2"},
    "agent.engines.calls": {
        "agent.contract",
        "agent.errors",
        "agent.audio",
        "agent.engines.base",
        "agent.engines.frames",
        "numpy",
    },
    "agent.engines.process": {"agent.contract", "agent.engines.frames"},
    "agent.engines.inflight": {
        "agent.contract",
        "agent.errors",
        "agent.engines.calls",
        "agent.engines.frames",
        "agent.engines.process",
    },
    "agent.engines.keeper": {
        "agent.contract",
        "agent.errors",
        "agent.engines.backoff",
        "agent.engines.calls",
        "agent.engines.frames",
        "agent.engines.inflight",
        "agent.engines.process",
        "agent.engines.settings",
    },
    "agent.engines.host": {
        "agent.contract",
        "agent.audio",
        "agent.engines.base",
        "agent.engines.calls",
        "agent.engines.frames",
        "agent.engines.inflight",
        "agent.engines.keeper",
        "agent.engines.settings",
    },
    "agent.engines.pool": {"agent.contract", "agent.audio", "agent.engines.base", "agent.engines.host"},
    "agent.engines.budget": {"agent.contract", "agent.errors", "agent.memory", "agent.engines.settings"},
    "agent.engines.opening": {
        "agent.contract",
        "agent.errors",
        "agent.audio",
        "agent.engines.base",
        "agent.engines.budget",
        "agent.engines.host",
        "agent.engines.pool",
        "agent.engines.registry",
        "agent.engines.settings",
        "numpy",
    },
    "agent.engines.language_models": {
        "agent.contract",
        "agent.errors",
        "agent.engines.base",
        "agent.engines.host",
        "agent.engines.opening",
        "agent.engines.settings",
    },
    "agent.engines.worker": {
        "agent.contract",
        "agent.errors",
        "agent.memory",
        "agent.title",
        "agent.engines.calls",
        "agent.engines.base",
        "agent.engines.frames",
        "agent.engines.live_call",
        "agent.engines.prompt",
        "agent.engines.registry",
    },
    "agent.engines.live_call": {"agent.audio", "agent.engines.base", "agent.engines.calls"},
    "agent.journal": {"agent.contract", "agent.errors"},
    "agent.pipeline": {
        "agent.contract",
        "agent.errors",
        "agent.audio",
        "agent.engines.base",
        "agent.journal.entries",
        "agent.speech_text",
    },
    "agent.operations": {
        "agent.contract",
        "agent.journal.entries",
        "agent.pipeline.admission",
        "agent.pipeline.played",
        "agent.pipeline.run",
    },
    "agent.intake": {
        "agent.contract",
        "agent.audio.riff",
        "agent.journal.entries",
        "agent.mqtt.message",
        "agent.operations",
        "agent.replies.addressing",
    },
    "agent.client": {"agent.contract", "agent.mqtt", "agent.ogg_checksum"},
    "agent.evaluation": {
        "agent.client",
        "agent.contract",
        "agent.errors",
        "agent.pipeline.guards.loops",
        "rich",
        "yaml",
    },
    "agent.model_files": {"agent.contract", "agent.errors"},
    "agent.models": {
        "agent.__version__",
        "agent.contract",
        "agent.errors",
        "agent.model_files",
        "agent.settings",
        "gguf",
        "huggingface_hub",
        "numpy",
        "rich",
    },
    "agent.profiles": {"pydantic_settings"},
    "agent.storage": {"agent.errors", "agent.settings"},
    "agent.provision": {"agent.contract", "agent.errors", "agent.keys", "agent.mqtt", "cryptography"},
    "agent.watchdog": {"agent.notify"},
    "agent.status": {"agent.contract", "agent.mqtt", "agent.title", "rich"},
    "agent.admin": set(),
    "agent.admin.operators": {
        "agent.contract",
        "agent.errors",
        "agent.journal.entries",
        "agent.mqtt.message",
        "agent.replies",
    },
    "agent.admin.administration": {"agent.contract", "agent.engines.language_models", "agent.memory"},
    "agent.background": set(),
    "agent.interactions": {"agent.contract", "agent.errors", "agent.journal.entries"},
    "agent.interactions.settings": {"agent.optional_file"},
    "agent.metrics": {"agent.contract", "agent.errors", "agent.journal.entries", "prometheus_client"},
    "agent.presence": {"agent.contract", "agent.errors", "agent.mqtt"},
    "agent.replies": {"agent.contract", "agent.errors", "agent.journal.entries", "agent.mqtt"},
    "agent.replies.deliveries": {"agent.errors", "agent.journal", "agent.replies"},
    "agent.runs": {
        "agent.contract",
        "agent.errors",
        "agent.journal",
        "agent.logs",
        "agent.mqtt.message",
        "agent.operations",
        "agent.pipeline",
        "agent.replies",
        "agent.sessions.conversations",
    },
    "agent.sessions.conversations": {"agent.contract", "agent.errors", "agent.journal", "agent.pipeline.history"},
    "agent.sessions.calls": {
        "agent.contract",
        "agent.errors",
        "agent.intake",
        "agent.journal",
        "agent.mqtt.message",
        "agent.pipeline.admission",
        "agent.replies",
        "agent.sessions.conversations",
    },
    "agent.sessions": set(),
    "agent.templates": {"agent.contract"},
    "agent.templates.catalogue": {"agent.contract", "agent.journal.templates", "agent.templates.versions"},
    "agent.templates.calls": {"agent.contract", "agent.templates"},
    "agent.templates.retained": {"agent.contract", "agent.errors", "agent.mqtt", "agent.templates.catalogue"},
    "agent.handler": {
        "agent.contract",
        "agent.errors",
        "agent.intake",
        "agent.journal",
        "agent.mqtt",
        "agent.admin.operators",
        "agent.operations",
        "agent.pipeline",
        "agent.replies",
        "agent.runs",
        "agent.sessions",
        "agent.uploads",
    },
    "agent.uploads": {
        "agent.audio",
        "agent.contract",
        "agent.errors",
        "agent.intake",
        "agent.journal.entries",
        "agent.logs",
        "agent.mqtt.message",
        "agent.pipeline",
        "agent.replies",
        "agent.runs",
    },
    "bridge": {
        "agent.contract",
        "agent.client",
        "agent.keys",
        "agent.mqtt.settings",
        "agent.notify",
        "agent.optional_file",
        "agent.title",
        "agent.watchdog",
        "fastapi",
        "fastapi_offline",
        "h11",
        "prometheus_client",
        "starlette",
        "uvicorn",
        "pydantic_settings",
    },
    "bridge.openai.formats": {"agent.contract", "soundfile"},
}
COMPANIONS = {
    f"agent.engines.{name}"
    for name in (
        "at_pauses",
        "coqui_choices",
        "llamacpp_listener",
        "mlc_options",
        "mlc_process",
        "openai_errors",
        "openai_wire",
        "phantoms",
        "piecewise",
        "remote",
        "sphinx_decoder",
        "triton_wire",
        "whisper_context",
    )
}
"""What leaves have beside their one file; the same rules hold for them."""
LEAF = {
    "agent.contract",
    "agent.engines.base",
    "agent.engines.prompt",
    "agent.audio",
    "agent.errors",
    "agent.model_files",
    *COMPANIONS,
}


COMPOSITION = (
    "agent.app",
    "agent.requests",
    "agent.service",
    "agent.presence.report",
    "agent.engines.engine_set",
    "agent.commands",
    "agent.demo",
    "agent.doctor",
    "agent.mlc_chat",
    "agent.stack",
    "agent.__main__",
)
"""What puts the rooms together: anything but leaves."""


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("agent", "bridge"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_leaf(module: str) -> bool:
    return module.rpartition(".")[2].startswith(("stt_", "llm_", "tts_", "scripted"))


def below(name: str, prefixes: set[str] | tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


@pytest.mark.once
@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda value: str(value) if "." in str(value) else "")
def test_arrows_point_down(module: str, path: Path) -> None:
    names = [name for name in imported(path) if name.partition(".")[0] not in LIBRARIES]
    if module in {"agent", "agent.engines"}:
        assert not names
        return
    if is_leaf(module) or module in COMPANIONS:
        libraries = {name.partition(".")[0] for name in names} - {"agent", "numpy", "tvm"}  # MLC's own runtime
        assert len(libraries) <= 1, f"{module} is a leaf over one library, not {libraries}"
        assert not [name for name in names if name.startswith("agent") and not below(name, LEAF)]
        return
    if below(module, COMPOSITION):
        assert not [name for name in names if is_leaf(name) or name.startswith("bridge")]
        return
    room = max((prefix for prefix in ALLOWED if below(module, {prefix})), key=len, default=None)
    assert room, f"{module} is in no row of the table"
    strangers = [name for name in names if not below(name, ALLOWED[room] | {room})]
    assert not strangers, f"{module} must not import {strangers}"


@pytest.mark.parametrize("module", [name for name, _ in modules()])
def test_no_imports_only_for_types(module: str) -> None:
    path = dict(modules())[module]
    assert "TYPE_CHECKING" not in path.read_text(encoding="utf-8"), "a cycle in types is a cycle"


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("bridge.__main__", ["numpy", "soundfile", "agent.pipeline", "agent.engines", "agent.settings", "agent.app"]),
        ("bridge.app", ["openai", "numpy", "soundfile"]),
        ("bridge.__main__", ["soxr", "sqlite3", "jinja2", "rich", "agent.audio", "agent.journal"]),
        ("agent.commands.ask", ["numpy", "soundfile", "agent.pipeline", "agent.engines.base", "fastapi"]),
        ("agent.commands.ask", ["soxr", "sqlite3", "jinja2", "rich", "uvicorn", "starlette", "agent.audio"]),
        ("agent.mlc_chat", ["mlc_llm", "tvm", "xllamacpp", "openai", "fastapi", "paho.mqtt.client", "sqlite3"]),
        ("agent.app", ["xllamacpp", "pocketsphinx", "espeakng_loader", "torch", "TTS", "openai", "fastapi"]),
    ],
)
def test_importing_loads_no_more_than_needed(module: str, unwanted: list[str]) -> None:
    program = f"import sys, {module}; print([n for n in {unwanted!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
