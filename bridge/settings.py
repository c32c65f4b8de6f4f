"""Everything an operator can set of the bridge, by environment variables and `.env`: `EDGEVOICE_BRIDGE_…`."""

from __future__ import annotations

import ipaddress
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from typing_extensions import Self

from agent.contract.limits import DEFAULT_DEADLINE_MS
from agent.contract.terms import DEFAULT_AGENT, DEFAULT_BASE, Id, TopicBase
from agent.contract.topics import Topics
from agent.mqtt.settings import MqttSettings


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
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8080, ge=0, le=65_535)
    """TCP port to listen on; 0 takes a free one."""
    allow_unauthenticated: bool = False
    """Answer whoever reaches the bridge, also from other machines. There are no API keys yet."""
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
    max_body_bytes: int = Field(default=5_500_000, ge=1_024)
    """Largest request body [bytes]; a larger one is `payload_too_large`."""
    body_timeout_s: float = Field(default=30.0, gt=0)
    """Longest time for a request body to arrive [s]."""
    max_waiting: int = Field(default=1_000, ge=1)
    """Callers that wait for the agent at once; one more is `busy`."""
    deadline_ms: int = Field(default=DEFAULT_DEADLINE_MS, ge=1)
    """Deadline of a request that names none [ms]."""
    graceful_shutdown_s: int = Field(default=20, ge=0)
    """How long waiting callers may still get their answer at shutdown [s]."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe line shown, on stderr."""

    @property
    def topics(self) -> Topics:
        """Every topic of the agent that answers."""
        return Topics(base=self.base, agent=self.agent)

    @model_validator(mode="after")
    def _keep_strangers_out(self) -> Self:
        if not self.allow_unauthenticated and not is_loopback(self.host):
            raise ValueError(
                f"listening on {self.host} would let every machine that reaches it use the agent; listen on 127.0.0.1,"
                " behind a proxy that asks who is there, or set EDGEVOICE_BRIDGE_ALLOW_UNAUTHENTICATED=true"
            )
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
