"""How to reach the broker."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from agent.optional_file import OptionalFile


class MqttSettings(BaseModel):
    """How to reach the broker, and as whom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", min_length=1)
    """Broker's host name or address."""
    port: int = Field(default=1883, ge=1, le=65_535)
    """Broker's TCP port."""
    username: str | None = None
    """Broker user. It is also the caller's client level in topics."""
    password: SecretStr | None = None
    """Broker password; better in `password_file`."""
    password_file: OptionalFile = None
    """File that holds the broker password on its first line."""
    protocol: Literal["5", "3.1.1"] = "5"
    """MQTT version to speak."""
    max_packet_bytes: int = Field(default=8_000_000, ge=1_024, le=268_435_455)
    """Largest packet the broker takes, where it does not say so itself [bytes]; Mosquitto's `max_packet_size`."""
    keepalive_s: int = Field(default=20, ge=5, le=120)
    """Longest silence on the connection [s]; a dead link is noticed within twice this."""
    reconnect_min_s: float = Field(default=0.2, gt=0)
    """First pause before connecting again [s]; it doubles, with jitter, up to `reconnect_max_s`."""
    reconnect_max_s: float = Field(default=15.0, gt=0)
    """Longest pause before connecting again [s]."""
    tls: bool = False
    """Encrypt the connection and check the broker's certificate."""
    ca_file: OptionalFile = None
    """Certificates to trust, PEM; the system's when left out."""
    cert_file: OptionalFile = None
    """Own certificate, PEM, where the broker asks for one."""
    key_file: OptionalFile = None
    """Key of the own certificate, PEM."""

    def check_files(self) -> None:
        """OSError that names the first of the files above that cannot be read."""
        for file in (self.password_file, self.ca_file, self.cert_file, self.key_file):
            if file:
                file.open("rb").close()

    def read_password(self) -> str | None:
        """The password, from `password_file` first; OSError where that cannot be read."""
        if self.password_file:
            return self.password_file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
        return self.password.get_secret_value() if self.password else None
