"""Sources of the agent's settings that pydantic does not have: our own lines of `.env`, and a profile."""

from __future__ import annotations

from typing import Any

from pydantic_settings import DotEnvSettingsSource, PydanticBaseSettingsSource

from agent import profiles


class DotEnv(DotEnvSettingsSource):
    """Our lines of `.env`, typing mistakes included; the bridge and other programs read the same file."""

    def __call__(self) -> dict[str, Any]:
        """Field → value."""
        return {
            name: value
            for name, value in super().__call__().items()
            if name in self.settings_cls.model_fields
            or (name.startswith("edgevoice_") and not name.startswith("edgevoice_bridge_"))
        }


class Profile(PydanticBaseSettingsSource):
    """The settings of the profile that a source before this one names."""

    _ENGINES = ("stt", "llm", "tts")

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """None: all of it is read at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Field → value; nothing without a profile."""
        name = self.current_state.get("profile")
        if name not in profiles.names():
            return {}  # the field's own rule says what is wrong with it
        settings = profiles.settings(name)
        for section in self._ENGINES:
            if self._chosen(section) not in {None, settings.get(section, {}).get("name")}:
                settings.pop(section, None)  # its options are for another engine
        return settings

    def _chosen(self, section: str) -> str | None:
        """The engine that a source before this one names."""
        given = self.current_state.get(section)
        name: str | None = given.get("name") if isinstance(given, dict) else getattr(given, "name", None)
        return name
