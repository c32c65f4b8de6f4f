"""The bridge's API keys as they stand in their file: a name, a hash, and whether it is an operator's."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from agent.contract.terms import HTTP_CLIENT_PREFIX, MAX_ID_CHARS, is_id

_SECRET_BYTES = 32
_HASH = re.compile(r"[0-9a-f]{64}")
_HEADING = "# API keys of the HTTP bridge, by `edgevoice keys`: name, SHA-256 of the key, whose it is, since when.\n"
_CALLER, _OPERATOR = "caller", "operator"


class BadKeys(ValueError):
    """A line of the file that says nothing we understand."""


@dataclass(frozen=True)
class ApiKey:
    """A key that the bridge knows, without the secret."""

    name: str
    digest: str
    """SHA-256 of the whole key, hexadecimal.

    Neither salted nor slow: 256 random bits can be guessed as little as the hash can be turned round.
    """
    operator: bool
    """Whether it may make operators' calls."""
    since: date

    @property
    def client(self) -> str:
        """The client that its holder is: a level of the topics."""
        return f"{HTTP_CLIENT_PREFIX}{self.name}"


def default_keys_file() -> Path:
    """Where the keys are unless told otherwise: in /etc/edgevoice for root, else in `$XDG_DATA_HOME/edgevoice`."""
    if os.geteuid() == 0:
        return Path("/etc/edgevoice/bridge-keys")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "edgevoice" / "bridge-keys"


def is_key_name(name: str) -> bool:
    """Whether `http-{name}` may be a client."""
    return is_id(name) and len(HTTP_CLIENT_PREFIX + name) <= MAX_ID_CHARS


def new_key(name: str, *, operator: bool = False) -> tuple[str, ApiKey]:
    """A fresh key, and what is kept of it; only its holder ever has the key itself."""
    key = f"ev_{name}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return key, ApiKey(name, digest_of(key), operator, date.today())  # noqa: DTZ011 - a day, for people


def digest_of(key: str) -> str:
    """SHA-256 of `key`, hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


def parse_keys(text: str) -> tuple[ApiKey, ...]:
    """The keys that a file holds. Raises BadKeys."""
    lines = ((number, line.split()) for number, line in enumerate(text.splitlines(), 1))
    return tuple(_parse(number, words) for number, words in lines if words and not words[0].startswith("#"))


def render_keys(keys: Iterable[ApiKey]) -> str:
    """The text of a file that holds `keys`."""
    lines = (
        f"{key.name} {key.digest} {_OPERATOR if key.operator else _CALLER} {key.since.isoformat()}\n" for key in keys
    )
    return _HEADING + "".join(lines)


def _parse(number: int, words: list[str]) -> ApiKey:
    try:
        name, digest, whose, since = words
        if is_key_name(name) and _HASH.fullmatch(digest) and whose in {_CALLER, _OPERATOR}:
            return ApiKey(name, digest, whose == _OPERATOR, date.fromisoformat(since))
    except ValueError:  # too few words, too many, or no date
        pass
    raise BadKeys(f"line {number} is no key: it takes a name, a SHA-256, `{_CALLER}` or `{_OPERATOR}`, and a day")
