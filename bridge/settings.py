"""Everything an operator can set of the bridge, by environment variables and `.env`: `EDGEVOICE_BRIDGE_…`."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent.contract.limits import DEFAULT_DEADLINE_MS
from agent.contract.terms import DEFAULT_AGENT, DEFAULT_BASE, Id, TopicBase
from agent.contract.topics import Topics
from agent.keys import default_keys_file
from agent.mqtt.settings import MqttSettings
from agent.optional_file import OptionalFile


class BridgeSettings(BaseSettings):
    """The bridge's settings."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",  # `.env` is the agent's, too
        env_prefix="EDGEVOICE_BRIDGE_",
        env_file=".env",
        env_file_encoding="utf-8",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,  # a broker host that is set leaves the user name as it is
    )

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8080, ge=0, le=65_535)
    """TCP port to listen on; 0 takes a free one."""
    allow_unauthenticated: bool = False
    """Without API keys, answer whoever reaches the bridge, also from other machines."""
    keys_file: OptionalFile = None
    """File of API keys, by `edgevoice keys`; where there is one, every request needs a key. Its help says where."""
    rate_per_s: float = Field(default=10.0, ge=0)
    """Requests a second that one API key may make, whichever worker is asked; one more is `rate_limited`. 0 for any."""
    rate_burst: int = Field(default=20, ge=1)
    """Requests that one API key may make at once, after a pause."""
    wrong_keys_per_s: float = Field(default=1.0, ge=0)
    """Requests a second without a right key that one address may make at each worker, after ten at once. 0 for any."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names to answer for beside this machine's own: a proxy's that it passes on, a web page's that may ask."""
    admin: bool = False
    """Offer the operators' routes; the broker's ACL and the agent's `operators` must let the bridge, too."""
    base: TopicBase = DEFAULT_BASE
    """First levels of every topic; the last is the contract's major version."""
    agent: Id = DEFAULT_AGENT
    """Name of the agent that answers."""
    client: Id = "bridge"
    """The bridge's own level in topics: the broker user it connects as."""
    mqtt: MqttSettings = MqttSettings(username="bridge")
    """How to reach the broker."""
    workers: int = Field(default=1, ge=1, le=8)
    """Processes that answer, each with a connection of its own to the broker; any of them knows of any request."""
    header_timeout_s: float = Field(default=10.0, gt=0)
    """Longest time for a request's headers to arrive [s]."""
    max_body_bytes: int = Field(default=5_500_000, ge=1_024)
    """Largest request body [bytes]; a larger one is `payload_too_large`."""
    body_timeout_s: float = Field(default=30.0, gt=0)
    """Longest time for a request body to arrive [s]."""
    max_waiting: int = Field(default=1_000, ge=1)
    """Callers that wait for the agent at once, at each worker; one more is `busy`."""
    deadline_ms: int = Field(default=DEFAULT_DEADLINE_MS, ge=1)
    """Deadline of a request that names none [ms]."""
    graceful_shutdown_s: int = Field(default=20, ge=0)
    """How long waiting callers may still get their answer at shutdown [s]."""
    metrics: Literal["local", "all", "off"] = "local"
    """Who may read `/metrics`, without a key: whoever asks from this machine, be it a proxy (`local`), or reaches the
    bridge (`all`), or nobody (`off`)."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe line shown, on stderr."""

    @property
    def topics(self) -> Topics:
        """Every topic of the agent that answers."""
        return Topics(base=self.base, agent=self.agent)

    @property
    def keys_path(self) -> Path:
        """The file of the API keys."""
        return self.keys_file or default_keys_file()


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
