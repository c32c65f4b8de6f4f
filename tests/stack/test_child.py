"""One child process: ready, or told why not, and gone when told to go."""

import asyncio
import sys
from functools import partial
from pathlib import Path

import pytest

from agent.stack.child import Child, ChildError

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


@pytest.mark.anyio
async def test_who_does_not_hear_sigterm_is_killed(tmp_path):
    log = tmp_path / "log"
    argv = [sys.executable, "-c", STUBBORN]
    child = Child("stubborn", argv, log=log, ready=partial(said, log, "deaf"), ready_timeout_s=20, grace_s=0.1)
    await child.start()

    await child.stop()

    assert not child.running


@pytest.mark.anyio
async def test_who_is_never_ready_is_an_error(tmp_path):
    argv = [sys.executable, "-c", STUBBORN]
    child = Child("dreamer", argv, log=tmp_path / "log", ready=asyncio.Event().wait, ready_timeout_s=0.05)

    with pytest.raises(ChildError, match="dreamer was not ready"):
        await child.start()

    assert not child.running


@pytest.mark.anyio
async def test_who_ends_before_it_is_ready_leaves_its_last_words(tmp_path):
    argv = [sys.executable, "-c", "raise SystemExit('no bed')"]
    child = Child("sleepless", argv, log=tmp_path / "log", ready=asyncio.Event().wait)

    with pytest.raises(ChildError, match=r"exit status 1; its last words:\n +no bed"):
        await child.start()


async def said(log: Path, word: str) -> None:
    while word not in await asyncio.to_thread(log.read_text):
        await asyncio.sleep(0.02)
