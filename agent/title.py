"""What a process of ours is called in `ps` and `top`, where all of them would be one Python: who it is."""

from __future__ import annotations

from setproctitle import setproctitle

_OURS = "edgevoice"


def entitle(*words: str) -> None:
    """Names this process, in place of its arguments."""
    setproctitle(" ".join((_OURS, *words)))


def words_of(cmdline: bytes) -> list[str]:
    """What `entitle` was told, by what /proc has in place of the arguments; nothing of a process that is not ours."""
    ours, *words = cmdline.rstrip(b"\0").decode("utf-8", "replace").split(" ")
    return words if ours == _OURS else []
