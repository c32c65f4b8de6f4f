"""Room and permission for what the agent keeps, and whether it lasts."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from agent.doctor.finding import Finding, fail, ok, warn
from agent.doctor.site import Site
from agent.doctor.wanted import to_fetch_bytes
from agent.storage import lost_folder

_GIB = 1 << 30
_LEAST_BYTES = 256 * 2**20
_PLENTY_BYTES = 2 * _GIB


def check(site: Site) -> Iterator[Finding]:
    """Whether home and journal can be written, and how much fits."""
    home, journal = site.settings.home, site.settings.journal_path.parent
    for name, folder in {"home": home, "journal": journal}.items():
        if name == "home" or folder != home:
            yield _writable(name, folder)
    yield _disk(home, to_fetch_bytes(site))
    yield from _storage(site)


def _writable(name: str, folder: Path) -> Finding:
    place = _nearest(folder)
    made = "" if place == folder else ", to be made"
    own = f'sudo install -d -o "$USER" {shlex.quote(str(folder))}'
    if not place.is_dir():
        return fail(name, f"{place} is not a folder, so {folder} cannot be one", f"ls -ld {shlex.quote(str(place))}")
    try:
        if place == folder:
            # Tried, because a file system may be read-only for root, too.
            tempfile.TemporaryFile(dir=place).close()
        elif not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(f"no permission to make it in {place}")
    except OSError as exc:
        return fail(name, f"{folder} cannot be written: {exc.strerror or exc}", own)
    return ok(name, f"{folder} can be written{made}")


def _disk(home: Path, to_fetch: int) -> Finding:
    free = shutil.disk_usage(_nearest(home)).free
    found = f"{free / _GIB:.1f} GiB free for {home}"
    if to_fetch:
        found = f"{found}, models to be fetched take about {to_fetch / _GIB:.1f}"
    fix = f"df -h {shlex.quote(str(_nearest(home)))}   # make room, or set EDGEVOICE_HOME to a larger disk"
    if free < _LEAST_BYTES + to_fetch:
        return fail("disk", f"{found}; it fills up, and then the agent takes no request", fix)
    if free < _PLENTY_BYTES:
        return warn("disk", f"{found}; few models fit", fix)
    return ok("disk", found)


def _storage(site: Site) -> Iterator[Finding]:
    """Inside a container, whether what is written stays."""
    settings = site.settings
    if settings.allow_ephemeral or not site.in_container:
        return
    if loss := lost_folder(settings, site.root):
        where = f"{loss.mount.kind} at {loss.mount.point}"
        message = f"{loss.folder} is lost with this container ({where}); {loss.variable} names it"
        yield fail(
            "storage", message, f"docker run --volume edgevoice:{loss.folder} …   # or EDGEVOICE_ALLOW_EPHEMERAL=true"
        )
    else:
        yield ok("storage", f"{settings.home} outlives this container")


def _nearest(folder: Path) -> Path:
    """The folder, or what is there of the path to it."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if os.access(place, os.F_OK))
