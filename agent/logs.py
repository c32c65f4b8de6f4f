"""Log lines: one a record, on stderr, each with the request it is about; for people or as JSON."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import datetime, timezone

current_run: ContextVar[str] = ContextVar("current_run", default="")
"""`client/id` of the run that the current task works on."""


class _OneLine(logging.Formatter):
    """Text for people: nothing in a message can begin a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        run = current_run.get()
        about = f" [{run}]" if run else ""
        moment = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line = f"{moment} {record.levelname:7} {record.name}{about}: {_escaped(record.getMessage())}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "run": current_run.get() or None,
            "message": record.getMessage(),
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in fields.items() if value is not None})


def configure(level: str, style: str) -> None:
    """Sends every log line from `level` up to stderr, as `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if style == "json" else _OneLine())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _escaped(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
