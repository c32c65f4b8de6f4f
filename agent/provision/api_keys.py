"""The file of the bridge's API keys as a program edits it, and what the broker's ACL says of each."""

from __future__ import annotations

import os
from pathlib import Path

from agent.contract.topics import Topics
from agent.keys import ApiKey, BadKeys, new_key, parse_keys, render_keys
from agent.provision.files import ProvisionError, cannot, locked, read, replace


def stored_keys(path: Path) -> tuple[ApiKey, ...]:
    """The keys in `path`; none where there is no such file. Raises ProvisionError."""
    if not path.exists():
        return ()
    try:
        return parse_keys(read(path))
    except BadKeys as exc:
        raise ProvisionError(f"{path}: {exc}") from exc


def add_key(path: Path, name: str, *, operator: bool = False) -> str:
    """Makes a key of that name and returns it, for this once. Raises ProvisionError where the name is taken."""
    _make_folder(path.parent)
    with locked(path.parent):
        keys = stored_keys(path)
        if any(known.name == name for known in keys):
            raise ProvisionError(f"there is a key {name} already; `edgevoice keys rotate {name}` gives it a new secret")
        key, added = new_key(name, operator=operator)
        _store(path, (*keys, added))
    return key


def rotate_key(path: Path, name: str) -> str:
    """Gives the key of that name a new secret and returns it, for this once. Raises ProvisionError."""
    with locked(path.parent):
        keys = stored_keys(path)
        former = _named(name, keys, path)
        key, added = new_key(name, operator=former.operator)
        _store(path, tuple(added if known is former else known for known in keys))
    return key


def revoke_key(path: Path, name: str) -> int:
    """Takes the key of that name away; how many are left. Raises ProvisionError.

    The file stays, be it empty: that there is one is why nobody is let in without a key.
    """
    with locked(path.parent):
        keys = stored_keys(path)
        gone = _named(name, keys, path)
        kept = tuple(known for known in keys if known is not gone)
        _store(path, kept)
    return len(kept)


def broker_rules(client: str, *, base: str) -> tuple[str, str]:
    """The lines below the bridge's user in the broker's ACL by which it may ask, and hear, as `client`."""
    topics = Topics(base=base, agent="+")
    return f"topic write {topics.all_requests_of(client)}", f"topic read {topics.all_replies(client)}"


def _named(name: str, keys: tuple[ApiKey, ...], path: Path) -> ApiKey:
    found = next((known for known in keys if known.name == name), None)
    if found is None:
        names = ", ".join(known.name for known in keys) or "none"
        raise ProvisionError(f"there is no key {name} in {path}; there are {names}")
    return found


def _store(path: Path, keys: tuple[ApiKey, ...]) -> None:
    # The bridge may be another user than root: it reads the file by the group of its folder.
    replace(path, render_keys(keys), mode=0o640 if os.geteuid() == 0 else 0o600)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise cannot("made", folder, exc) from exc
