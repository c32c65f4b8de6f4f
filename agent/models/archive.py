"""Files out of a zip archive, which a wheel is, too."""

from __future__ import annotations

import lzma
import shutil
import zipfile
import zlib
from pathlib import Path

_BLOCK_BYTES = 1 << 20


def unpack(archive: zipfile.ZipFile, member: str | zipfile.ZipInfo, path: Path) -> None:
    """Puts the file `member` at `path`; KeyError where it is not there, BadZipFile where it is damaged."""
    try:
        with archive.open(member) as packed, path.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, _BLOCK_BYTES)
    except (EOFError, lzma.LZMAError, zlib.error) as exc:
        raise zipfile.BadZipFile(f"{path.name} is damaged: {exc}") from exc
