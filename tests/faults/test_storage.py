"""Disks that are full: the agent says what it cannot do, does the rest, and goes on by itself once there is room."""

import asyncio
import json
import os
import shutil
import subprocess
import uuid
from contextlib import contextmanager, suppress

import pytest

from agent.stack import Part
from tests.callers import mqtt_caller
from tests.faults.trial import trial

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root"),
]

STATE = "edgevoice/v1/orin/state"


@contextmanager
def small_disk(folder, *, size):
    """A disk of its own at `folder`."""
    owner = folder.stat()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode()}")
    try:
        shutil.chown(folder, owner.st_uid, owner.st_gid)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(folder):
    """No byte is free in it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4_096)
    try:
        yield
    finally:
        filler.unlink()


async def test_a_broker_whose_disk_is_full_serves_and_writes_again_when_there_is_room(tmp_path):
    """R10"""
    async with trial(tmp_path, mix=("mqtt5",), parts=(Part.BROKER,), broker={"autosave_interval": "1"}) as t:
        await t.stack.stop(Part.BROKER)
        data = t.stack.folder / "broker" / "data"
        with small_disk(data, size="2m"):
            await t.stack.start(Part.BROKER)
            await t.stack.start(Part.AGENT)
            with filled(data):
                assert (await t.requesters[0].ask(uuid.uuid4().hex))["status"] == "ok"
                await t.stack.stop(Part.BROKER)
                await t.stack.start(Part.BROKER)
                assert (await t.requesters[0].ask(uuid.uuid4().hex))["status"] == "ok"
            await t.stack.restart(Part.BROKER)
            assert (data / "mosquitto.db").stat().st_size
            assert (await t.requesters[0].ask(uuid.uuid4().hex))["status"] == "ok"
            verdict = await t.verdict()
            await t.stack.stop(Part.BROKER)
    assert not verdict.violations


async def test_an_agent_whose_disk_is_full_refuses_and_takes_on_again_when_there_is_room(tmp_path):
    """R13"""
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, size="1m"):
        async with trial(tmp_path, mix=("mqtt5",), journal=folder / "journal.db") as t:
            with mqtt_caller(t.stack, filters=["edgevoice/v1/orin/reply/demo/#", STATE]) as caller:
                assert (await asyncio.to_thread(caller.ask, text="Hi"))["status"] == "ok"
                agent = t.stack.pid(Part.AGENT)
                with filled(folder):
                    refused = await until_refused(caller)
                    assert (refused["code"], refused["reason"]) == ("internal", "storage_unavailable")
                    assert refused["retriable"]
                    state = await told(caller, lambda state: state["faults"])
                    assert (state["phase"], state["faults"]) == ("degraded", ["journal"])
                await told(caller, lambda state: state["phase"] == "ready")
                assert (await asyncio.to_thread(caller.ask, text="Hi"))["status"] == "ok"
                assert t.stack.pid(Part.AGENT) == agent
            await t.stack.stop(Part.AGENT)


async def until_refused(caller):
    """The error of the first request that is not written down; what SQLite has at hand may take a few."""
    while True:
        reply = await asyncio.to_thread(caller.ask, text="x" * 7_000)
        if reply["status"] == "error":
            return reply["error"]


async def told(caller, holds):
    """The next state of which that holds."""
    while not holds(state := json.loads((await asyncio.to_thread(caller.next, STATE)).payload)):
        pass
    return state
