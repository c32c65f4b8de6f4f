"""MLC inside its worker: a constructor that hangs instead of failing, threads that die unheard, talkative logs."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NoReturn, TypeVar

T = TypeVar("T")

_GIVEN_UP = 70
_MAX_LINE = 400
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def constructed(build: Callable[[], T]) -> T:
    """What `build` makes, or its error, or that of a thread it started: then it would not return, ever.

    From then on the death of such a thread ends this process.
    """
    died: Future[T] = Future()

    def told(args: threading.ExceptHookArgs) -> None:
        if not died.done():
            died.set_exception(args.exc_value or args.exc_type())

    usual, threading.excepthook = threading.excepthook, told
    built = ThreadPoolExecutor(1, "mlc-constructor").submit(build)
    wait((built, died), return_when=FIRST_COMPLETED)
    threading.excepthook = usual
    made = (died if died.done() else built).result()
    threading.excepthook = lambda args: give_up(f"a thread of MLC died: {one_line(args.exc_value or args.exc_type())}")
    return made


def give_up(why: str) -> NoReturn:
    """Ends this process, so that the host starts another: an engine that lost a thread, or hangs, is dead for good.

    Not by an exception: every call in progress is lost, and the host tells them all, and has them asked again.
    """
    say(why)
    os._exit(_GIVEN_UP)


def say(line: str) -> None:
    """A line for the log, which the host makes of this process's stderr."""
    sys.stderr.write(f"mlc: {line}\n")
    sys.stderr.flush()


def one_line(said: object) -> str:
    """What MLC says, without colours, line breaks and the stack of its C++."""
    text = " ".join(_COLOUR.sub("", str(said)).split())
    return text.rpartition("Check failed: ")[2][:_MAX_LINE] or type(said).__name__


def hush() -> None:
    """Has MLC's own log lines fit in: warnings only, one line each, and no second telling of what a caller is told."""
    logger = logging.getLogger("mlc_llm")
    logger.handlers = [_Lines(logging.WARNING)]
    logger.propagate = False
    logging.getLogger("mlc_llm.serve").setLevel(logging.CRITICAL)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(one_line(record.getMessage()))
