"""Everything an operator can set: from flags, environment (`EDGEVOICE_…`), `.env`, a TOML file and a profile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from agent import profiles
from agent.contract.limits import MAX_TOKENS, Limits
from agent.contract.personas import Persona
from agent.contract.terms import DEFAULT_AGENT, DEFAULT_BASE, HTTP_CLIENT_PREFIX, Id, Overflow, TopicBase
from agent.contract.topics import Topics
from agent.engines.settings import (
    EngineSettings,
    LanguageModelSettings,
    MemorySettings,
    RegisteredModel,
    SamplingSettings,
)
from agent.interactions.settings import InteractionsSettings
from agent.metrics.settings import MetricsSettings
from agent.mqtt.settings import MqttSettings
from agent.optional_file import OptionalFile
from agent.settings_sources import DotEnv, Profile


def default_home() -> Path:
    """Where models and the journal live unless told otherwise: `$XDG_DATA_HOME/edgevoice`."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "edgevoice"


def _persona(value: object) -> object:
    """As contracts have it; an environment variable is text."""
    return Persona.model_validate(value, strict=False)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GuardsSettings(_Section):
    """What is looked for in answers, which then end there."""

    stop_strings: bool = True
    """End an answer at a request's stop strings, also where its engine does not look for them."""
    role_markers: bool = True
    """End an answer where the model begins another's turn: `User:`, `<|im_start|>`."""
    loops: bool = True
    """End an answer where a passage is said again and again."""
    longest_s: float = Field(default=120.0, ge=0)
    """End an answer after so long, with what there is of it [s]; 0 lets it take as long as it takes."""


class ChatSettings(SamplingSettings):
    """How the language model is asked, where a request does not say."""

    system: str = "You are a helpful assistant. Be correct and concise."
    """Instruction to the language model; empty for none."""
    max_tokens: int | None = Field(default=128, ge=1, le=MAX_TOKENS)
    """Longest answer [tokens]."""
    on_overflow: Overflow = Overflow.TRIM
    """What becomes of a conversation that does not fit into the model's window: its oldest turns are left out
    (`trim`) or told in short (`summarize`), or the request is refused (`error`)."""
    guards: GuardsSettings = GuardsSettings()
    """What ends an answer that goes wrong."""


class SessionSettings(_Section):
    """What is remembered of conversations."""

    idle_s: float = Field(default=86_400.0, gt=0)
    """One in which nothing is said for so long is forgotten [s]."""
    unnamed_idle_s: float = Field(default=600.0, ge=0)
    """The same for the one that a device's requests belong to which name none; 0: each stands alone [s]."""
    max_turns: int = Field(default=1_000, ge=1)
    """Questions and answers of each; over it, the oldest eighth of them is forgotten."""
    max_per_client: int = Field(default=1_000, ge=1)
    """Conversations of each client; over it, the oldest are forgotten."""


class JournalSettings(_Section):
    """What survives a crash."""

    path: OptionalFile = None
    """SQLite file; `journal.db` in `home` when left out."""
    dedup_window_s: float = Field(default=3_600.0, gt=0)
    """How long a finished request is remembered, to answer the same id again [s]."""
    max_replies: int = Field(default=10_000, ge=1)
    """How many finished requests are remembered; over it, the oldest are forgotten."""
    max_bytes: int = Field(default=256_000_000, ge=1)
    """The same for the size of their replies [bytes]."""
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    """NORMAL survives a killed process, FULL also a power cut, at a few milliseconds a request."""


class LogSettings(_Section):
    """What is logged, on stderr."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe line shown. Only DEBUG shows what was asked and answered."""
    format: Literal["text", "json"] = "text"
    """One line a record, for people or for programs."""


class Settings(BaseSettings):
    """The agent's settings."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="EDGEVOICE_",
        env_nested_delimiter="__",
        env_file=".env",
        env_file_encoding="utf-8",
        nested_model_default_partial_update=True,
    )

    profile: str | None = None
    """Settings for a machine, below all others: one of those that `edgevoice models pull --help` lists."""
    home: Annotated[Path, AfterValidator(Path.expanduser)] = Field(default_factory=default_home)
    """Folder for models and the journal."""
    allow_ephemeral: bool = False
    """Run in a container though `home` or the journal is on no volume, and lost with it."""
    hf_token_file: OptionalFile = None
    """File with the token for Hugging Face, where HF_TOKEN is not set; systemd's credential `hf-token` without it."""
    base: TopicBase = DEFAULT_BASE
    """First levels of every topic; the last is the contract's major version."""
    agent: Id = DEFAULT_AGENT
    """Name under which this agent answers; one agent a name."""
    reply_prefixes: tuple[str, ...] = ()
    """Topics below which any caller may have its reply sent, beside its own reply topics."""
    trusted_clients: tuple[Id, ...] = ("bridge",)
    """Clients that stand for many callers: the limits of a single client do not hold for them."""
    max_concurrent: int = Field(default=8, ge=1)
    """Requests worked on at once; the stages of different requests overlap."""
    graceful_shutdown_s: float = Field(default=20.0, ge=0)
    """How long running requests may take to finish at shutdown [s]."""
    probe_interval_s: float = Field(default=10.0, ge=1)
    """How often the agent sends a message to itself, to know that the broker delivers [s]."""
    mqtt: MqttSettings = MqttSettings(username="agent")
    """How to reach the broker."""
    stt: EngineSettings = EngineSettings()
    """Speech to text."""
    llm: LanguageModelSettings = LanguageModelSettings()
    """Language model, of requests that name none."""
    models: dict[Id, RegisteredModel] = Field(default_factory=dict)
    """Further language models by name, for requests that name one."""
    tts: EngineSettings = EngineSettings()
    """Text to speech."""
    phrase_cache_bytes: int = Field(default=8_000_000, ge=0)
    """Speech that is kept for sentences that come again [bytes]; 0 keeps none."""
    memory: MemorySettings = MemorySettings()
    """How much memory engines may take."""
    operators: tuple[Id, ...] = ("operator",)
    """Broker users who may ask for `health`, `models.…`, `templates.…` and `drain`; the broker's ACL must let them,
    too."""
    chat: ChatSettings = ChatSettings()
    """How the language model is asked."""
    personas: dict[Id, Annotated[Persona, BeforeValidator(_persona)]] = Field(default_factory=dict)
    """Who may answer, by name: `system`, `voice`, `model`, `template`, `language`, `on_overflow`, `params`."""
    sessions: SessionSettings = SessionSettings()
    """What is remembered of conversations."""
    limits: Limits = Limits()
    """How much callers may ask for."""
    journal: JournalSettings = JournalSettings()
    """What survives a crash."""
    log: LogSettings = LogSettings()
    """What is logged."""
    metrics: MetricsSettings = MetricsSettings()
    """What Prometheus may read."""
    interactions: InteractionsSettings = InteractionsSettings()
    """What is kept of questions and answers."""

    @property
    def topics(self) -> Topics:
        """Every topic of this agent."""
        return Topics(base=self.base, agent=self.agent)

    def stands_for_many(self, client: str) -> bool:
        """Whether `client` asks for many callers, who are not to hear of each other's conversations."""
        return client in self.trusted_clients or client.startswith(HTTP_CLIENT_PREFIX)

    @property
    def models_dir(self) -> Path:
        """Where model files are looked for."""
        return self.home / "models"

    @property
    def journal_path(self) -> Path:
        """The journal's file."""
        return self.journal.path or self.home / "journal.db"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment, `.env`, the file that `EDGEVOICE_SETTINGS` names, and the profile, in that order."""
        file = TomlConfigSettingsSource(settings_cls, Path(os.environ.get("EDGEVOICE_SETTINGS", "edgevoice.toml")))
        return init_settings, env_settings, DotEnv(settings_cls), file, Profile(settings_cls)

    @field_validator("profile")
    @classmethod
    def _is_there(cls, name: str | None) -> str | None:
        if name is not None and name not in profiles.names():
            raise ValueError(f"no profile {name!r}; there are {', '.join(profiles.names())}")
        return name
