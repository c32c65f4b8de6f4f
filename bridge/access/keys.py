"""The API keys that the bridge lets in, as their file has them at the moment."""

from __future__ import annotations

import hmac
import logging
import mmap
import os
from pathlib import Path

from agent.keys import ApiKey, BadKeys, digest_of, parse_keys

_Stamp = tuple[int, int, int]

logger = logging.getLogger(__name__)


class Keys:
    """Follows the file: a key that is added or revoked counts from the next request on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._keys: tuple[ApiKey, ...] = ()
        self._seen = mmap.mmap(-1, 1)  # forked workers share it: one that begins later knows what the others saw

    def load(self) -> None:
        """Reads the file now, where there is one. Raises OSError or BadKeys."""
        self._stamp = self._look()
        if self._stamp is not None:
            self._seen[0] = 1
            try:
                self._keys = parse_keys(self._path.read_text(encoding="utf-8"))
            except (BadKeys, UnicodeDecodeError) as exc:
                raise BadKeys(f"{self._path}: {exc}") from exc

    @property
    def required(self) -> bool:
        """Whether a key is needed: there is a file of keys, be it an empty one.

        It stays so without the file: whoever loses it by mistake has not let everybody in.
        """
        self._follow()
        return bool(self._seen[0])

    def find(self, key: str) -> ApiKey | None:
        """The one that `key` is; finding out takes as long for a wrong key as for a right one."""
        self._follow()
        digest, found = digest_of(key), None
        for known in self._keys:
            if hmac.compare_digest(known.digest, digest):
                found = known
        return found

    def _follow(self) -> None:
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return
            if stamp is None:
                logger.warning("%s is gone: no key is known any more", self._path)
                self._stamp, self._keys = None, ()
                return
            self.load()
        except (OSError, BadKeys) as exc:
            self._seen[0] = 1
            logger.error("the API keys stay as they were: %s", exc)  # noqa: TRY400 - the fault is the file's
        else:
            logger.info("%d API keys are known", len(self._keys))

    def _look(self) -> _Stamp | None:
        """What changes with the file and with who may read it; None where there is none."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - for each request
        except FileNotFoundError:
            return None
        return found.st_ctime_ns, found.st_ino, found.st_size
