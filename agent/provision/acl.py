"""The rules of single users in the broker's ACL file; the rest of the file, comments too, stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.provision.files import locked, read, replace


def add_rules(path: Path, user: str, lines: Iterable[str]) -> bool:
    """Adds each of `lines` (`topic write …`) that `user` does not have yet; whether there was any.

    They go below the last rule of that user, else to the end of the file under a heading of their own. Raises
    ProvisionError where the file cannot be read or written.
    """
    with locked(path.parent):
        before = read(path).splitlines()
        owned = {before[number].strip(): number for number in _rules_of(user, before)}
        missing = [line for line in dict.fromkeys(line.strip() for line in lines) if line not in owned]
        if not missing:
            return False
        heading = next((number for number, line in enumerate(before) if _user_of(line) == user), None)
        if heading is None:
            after = [*before, "", f"user {user}", *missing]
        else:
            below = max((heading, *owned.values())) + 1
            after = [*before[:below], *missing, *before[below:]]
        replace(path, _text(after))
    return True


def remove_rules(path: Path, user: str, lines: Iterable[str] | None = None) -> bool:
    """Removes those of `lines` that `user` has, else all, and a heading with nothing left below it; whether any.

    Raises ProvisionError where the file cannot be read or written.
    """
    unwanted = None if lines is None else {line.strip() for line in lines}
    with locked(path.parent):
        before = read(path).splitlines()
        owned = _rules_of(user, before)
        gone = {number for number in owned if unwanted is None or before[number].strip() in unwanted}
        if not gone:
            return False
        kept = [line for number, line in enumerate(before) if number not in gone]
        replace(path, _text(_without_bare_headings(user, kept)))
    return True


def _rules_of(user: str, lines: list[str]) -> Iterator[int]:
    """The numbers of the `topic` lines below any heading of `user`."""
    reading: str | None = None
    for number, line in enumerate(lines):
        reading = _user_of(line) or reading
        if reading == user and line.split(maxsplit=1)[:1] == ["topic"]:
            yield number


def _user_of(line: str) -> str | None:
    word, _, name = line.strip().partition(" ")
    return name.strip() if word == "user" else None


def _without_bare_headings(user: str, lines: list[str]) -> list[str]:
    kept: list[str] = []
    for number, line in enumerate(lines):
        if _user_of(line) == user and _is_bare(lines[number + 1 :]):
            while kept and not kept[-1].strip():
                kept.pop()
            continue
        kept.append(line)
    return kept


def _is_bare(below: list[str]) -> bool:
    """Whether the next line that says anything begins another user's rules, or there is none."""
    following = next((line for line in below if line.strip()), None)
    return following is None or _user_of(following) is not None


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
