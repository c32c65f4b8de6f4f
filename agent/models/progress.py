"""How a fetch gets on: one line that is updated on a terminal, otherwise a line every tenth of the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars

_MIB = 1 << 20
_LINE_EVERY_BYTES = 256 * _MIB


class Tracker:
    """How much of something is there."""

    def __init__(self, show: Callable[[int, int | None], None], total_bytes: int | None) -> None:
        self._show = show
        self._done_bytes = 0
        self._total_bytes = total_bytes

    def expect(self, total_bytes: int) -> None:
        """How much it is in all, once that is known."""
        self._total_bytes = total_bytes

    def advance(self, more_bytes: int) -> None:
        """That much more is there; less, where some of it has to be fetched again."""
        self._done_bytes += more_bytes
        self._show(self._done_bytes, self._total_bytes)


class Progress:
    """Tells a person what is going on."""

    def __init__(self, say: Callable[[str], None], console: Console | None = None) -> None:
        """`say` takes a line; the bar goes to `console`, which is the standard output when left out."""
        self.say = say
        self._console = console or Console()

    @contextmanager
    def of(self, name: str, total_bytes: int | None) -> Iterator[Tracker]:
        """Shows how much of `name` is there."""
        if not self._console.is_terminal:
            yield Tracker(_lines(name, self.say), total_bytes)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
        with Bars(
            *columns, TransferSpeedColumn(), TimeRemainingColumn(), console=self._console, transient=True
        ) as bars:
            task = bars.add_task(name, total=total_bytes)
            yield Tracker(lambda done, total: bars.update(task, completed=done, total=total), total_bytes)


def _lines(name: str, say: Callable[[str], None]) -> Callable[[int, int | None], None]:
    said = 0

    def show(done_bytes: int, total_bytes: int | None) -> None:
        nonlocal said
        step = 10 * done_bytes // total_bytes if total_bytes else done_bytes // _LINE_EVERY_BYTES
        if step <= said:
            return
        said = step
        share = f"{10 * step} % of {size_text(total_bytes)}" if total_bytes else size_text(done_bytes)
        say(f"  {name}: {share}")

    return show


def size_text(size_bytes: int | None) -> str:
    """A size as people say it."""
    if size_bytes is None:
        return "?"
    if size_bytes < _MIB:
        return f"{-(-size_bytes // 1024)} KiB"
    return f"{size_bytes / (1 << 30):.1f} GiB" if size_bytes >= 1 << 30 else f"{size_bytes // _MIB} MiB"
