"""One file from a web server: what an earlier try left is gone on with, and a broken connection is taken up again."""

from __future__ import annotations

import json
import re
import time
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.models.errors import PullError, Refused
from agent.models.progress import Tracker
from agent.models.web import Broken, Response, Unreachable, get, host_of
from agent.models.workspace import STATE

WAITS_S = (1.0, 2.0, 4.0, 8.0)
"""Pauses between tries that brought nothing [s]; past the last one the download fails, and may be gone on with."""
AGAIN = "run the command again"
GO_ON = f"what has come is kept: {AGAIN} to go on"
_LONGEST_WAIT_S = 60.0
_BLOCK_BYTES = 1 << 20
_RETRIED = {408, 425, 429, 500, 502, 503, 504}
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Download:
    """What to fetch, and how."""

    url: str
    path: Path
    """Where it goes once it is whole; until then it is beside it, as `….part`."""
    tracker: Tracker
    """Told of every piece; where the size is not given, also of that once the server tells it."""
    room: Callable[[int], None]
    """Asked for so many bytes of the disk before they are written."""
    size_bytes: int | None = None
    """How large it must be [bytes]."""
    token: str | None = None
    """Shown to the server of `url`."""


def download(asked: Download) -> None:
    """Leaves the file at its path. PullError where that cannot be; what has come is kept for the next time."""
    part = _Part(asked)
    if asked.path.is_file() and part.same:
        asked.tracker.advance(asked.path.stat().st_size)
        return
    asked.path.unlink(missing_ok=True)
    asked.tracker.advance(part.size_bytes)
    failures, first_bytes = 0, part.size_bytes
    while not part.whole:
        before_bytes = part.size_bytes
        try:
            _try(asked, part)
        except (Broken, Unreachable) as exc:
            if isinstance(exc, Unreachable) and part.size_bytes == first_bytes:
                raise  # it is no broken line: there is none
            failures = 1 if part.size_bytes > before_bytes else failures + 1
            if failures > len(WAITS_S):
                raise PullError(f"{host_of(asked.url)} does not give {asked.path.name}: {exc}; {GO_ON}") from exc
            time.sleep(min(max(WAITS_S[failures - 1], getattr(exc, "wait_s", 0.0)), _LONGEST_WAIT_S))
    part.finish()


class _Part:
    """What has come so far, and what is known of the whole."""

    def __init__(self, asked: Download) -> None:
        self._asked = asked
        self.path = asked.path.with_name(asked.path.name + ".part")
        self._state_path = asked.path.with_name(asked.path.name + STATE)
        try:
            self._state = json.loads(self._state_path.read_bytes())
        except (OSError, ValueError):
            self._state = {}
        if not self.same or not self.validator:
            self.path.unlink(missing_ok=True)

    @property
    def same(self) -> bool:
        """Whether what is there came from where we would ask now."""
        return bool(self._state.get("url") == self._asked.url)

    @property
    def validator(self) -> str | None:
        """How the server tells this version of the file from others."""
        validator: str | None = self._state.get("validator")
        return validator

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def whole(self) -> bool:
        total = self._state.get("bytes")
        return self.path.is_file() and total is not None and self.size_bytes == total

    def started(self, response: Response, total_bytes: int | None) -> None:
        """Keeps what is known of what comes now."""
        tag = response.headers.get("ETag")
        validator = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
        self._state = {"url": self._asked.url, "validator": validator, "bytes": total_bytes}
        self._state_path.write_text(json.dumps(self._state), encoding="utf-8")

    def ended(self) -> None:
        """The server had no more, and had not said how much it would be."""
        self._state["bytes"] = self.size_bytes

    def drop(self) -> None:
        """Begins anew."""
        self._asked.tracker.advance(-self.size_bytes)
        self.path.unlink(missing_ok=True)

    def finish(self) -> None:
        self.path.replace(self._asked.path)


def _try(asked: Download, part: _Part) -> None:
    """Goes on as far as the connection lasts."""
    if not part.validator:
        part.drop()  # nobody can tell whether what comes now would fit what has come
    offset = part.size_bytes
    headers = {"Range": f"bytes={offset}-", "If-Range": part.validator} if offset and part.validator else {}
    try:
        response = get(asked.url, headers, asked.token)
    except urllib.error.HTTPError as exc:
        with exc:
            if exc.code == 416:  # noqa: PLR2004 - range not satisfiable: there is more here than there
                part.drop()
                raise Broken("the file is another one now") from exc
            raise _refusal(exc, asked) from exc
    try:
        _take(response, asked, part, offset)
    finally:
        response.close()


def _take(response: Response, asked: Download, part: _Part, offset: int) -> None:
    if offset and not _continues(response, offset):
        part.drop()
        offset = 0
    length = response.headers.get("Content-Length")
    total = offset + int(length) if length is not None and length.isdigit() else None
    if total is not None:
        if asked.size_bytes not in {None, total}:
            raise PullError(
                f"{host_of(asked.url)} has {total} bytes as {asked.path.name}, not {asked.size_bytes}: another file"
            )
        if asked.size_bytes is None:
            asked.tracker.expect(total)
        asked.room(total - offset)
    part.started(response, total)
    with part.path.open("ab") as file:
        while total is None or offset < total:
            block = response.read(_BLOCK_BYTES if total is None else min(_BLOCK_BYTES, total - offset))
            if not block:
                break
            file.write(block)
            offset += len(block)
            asked.tracker.advance(len(block))
    if total is None:
        part.ended()
    elif offset < total:
        raise Broken(f"the connection was cut at {offset} of {total} bytes")


def _continues(response: Response, offset: int) -> bool:
    """Whether it goes on where we asked it to, instead of beginning anew."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return response.status == 206 and found is not None and int(found[1]) == offset  # noqa: PLR2004 - partial content


def _refusal(exc: urllib.error.HTTPError, asked: Download) -> Exception:
    host, name = host_of(asked.url), asked.path.name
    if exc.code in _RETRIED:
        wait = exc.headers.get("Retry-After", "")
        return Broken(f"HTTP {exc.code} {exc.reason}", wait_s=float(wait) if wait.isdigit() else 0.0)
    reasons = {
        401: "wants to know who asks",
        403: "does not allow it",
        404: "does not have it; the catalogue may be out of date",
    }
    return Refused(f"{host} does not give {name} (HTTP {exc.code}): it {reasons.get(exc.code, exc.reason)}", exc.code)
