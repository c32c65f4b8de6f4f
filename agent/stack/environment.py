"""The environment of agent and bridge: ours, but for what the stack decides."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from agent.contract.topics import Topics
from agent.mqtt.settings import MqttSettings
from agent.stack.ports import HOST
from agent.stack.settings import Part, StackSettings

_BROKERS = ("EDGEVOICE_MQTT", "EDGEVOICE_BRIDGE_MQTT")


def of_agent(settings: StackSettings, topics: Topics, mqtt: MqttSettings, *, journal: Path) -> dict[str, str]:
    """The agent's variables; `journal` holds where the settings name no other."""
    engines = {"STT": settings.stt, "LLM": settings.llm, "TTS": settings.tts}
    return _environment(
        {
            "EDGEVOICE_AGENT": topics.agent,
            "EDGEVOICE_BASE": topics.base,
            "EDGEVOICE_OPERATORS": json.dumps(settings.operators),
            "EDGEVOICE_JOURNAL__PATH": str(settings.journal or journal),
            **({"EDGEVOICE_HOME": str(settings.home)} if settings.home else {}),
            **{f"EDGEVOICE_{stage}": engine.model_dump_json() for stage, engine in engines.items() if engine},
            **_broker("EDGEVOICE_MQTT__", mqtt),
            "EDGEVOICE_ALLOW_EPHEMERAL": "true",  # its journal ends with the stack anyway
            **settings.environment,
        }
    )


def of_bridge(settings: StackSettings, topics: Topics, mqtt: MqttSettings, *, port: int, keys: Path) -> dict[str, str]:
    """The bridge's variables; it listens on `port`, and needs one of `keys` once there is such a file."""
    return _environment(
        {
            "EDGEVOICE_BRIDGE_AGENT": topics.agent,
            "EDGEVOICE_BRIDGE_BASE": topics.base,
            "EDGEVOICE_BRIDGE_HOST": HOST,
            "EDGEVOICE_BRIDGE_PORT": str(port),
            "EDGEVOICE_BRIDGE_KEYS_FILE": str(keys),
            "EDGEVOICE_BRIDGE_ADMIN": json.dumps(Part.BRIDGE.value in settings.operators),
            **_broker("EDGEVOICE_BRIDGE_MQTT__", mqtt),
            **settings.environment,
        }
    )


def _environment(changes: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not _overridden(name, changes)}
    return {**inherited, **changes}


def _overridden(name: str, changes: Mapping[str, str]) -> bool:
    """Whether an inherited variable would be mixed into what we set: the same name, or a field of it."""
    return name.startswith(_BROKERS) or any(name == change or name.startswith(f"{change}__") for change in changes)


def _broker(prefix: str, mqtt: MqttSettings) -> dict[str, str]:
    # Every field, so that nothing of a broker named in `.env` is mixed in.
    fields = mqtt.model_dump(mode="json", exclude_none=True)
    return {f"{prefix}{name.upper()}": str(value) for name, value in fields.items()}
