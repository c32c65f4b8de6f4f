"""A request that ends the agent each time it is begun, and a disk that is full: real processes, that go on."""

import asyncio
import json
import os
import subprocess
import uuid
from contextlib import suppress
from typing import Any

import pytest

from agent.engines.settings import EngineSettings
from agent.stack import Part, Stack, StackSettings
from agent.stack.child import ChildError
from tests.callers import mqtt_caller

pytestmark = [pytest.mark.anyio, pytest.mark.once]

PARTS = (Part.BROKER, Part.AGENT)
STATE = "edgevoice/v1/orin/state"


async def kept(stack):
    """Starts the agent again whenever it has ended."""
    while True:
        try:
            stack.pid(Part.AGENT)
            await asyncio.sleep(0.02)
        except ChildError:
            with suppress(ChildError):  # it may end while it starts
                await stack.restart(Part.AGENT)


async def test_a_request_that_ends_the_agent_is_begun_three_times_and_costs_nobody_else_an_answer(tmp_path):
    log = tmp_path / "log"
    llm = EngineSettings(
        name="scripted", options={"kills_agent": "poison", "log": str(log), "answer": "fine", "delay_s": 0.2}
    )
    async with Stack(StackSettings.scripted(llm=llm, parts=PARTS)) as stack:
        with mqtt_caller(stack, filters=["edgevoice/v1/orin/reply/demo/#"]) as caller:
            others, poison = [uuid.uuid4().hex for _ in range(3)], uuid.uuid4().hex
            for request_id in others:
                caller.publish(caller.request(), {"id": request_id, "text": "Hi"})
            caller.publish(caller.request(), {"id": poison, "text": "poison"})
            keeping = asyncio.create_task(kept(stack))
            replies: dict[str, Any] = {}
            while replies.keys() != {*others, poison}:
                reply = json.loads((await asyncio.to_thread(caller.next)).payload)
                replies[reply["id"]] = reply
            assert all(replies[request_id]["text"] == "fine" for request_id in others)
            error = replies[poison]["error"]
            assert (error["code"], error["reason"]) == ("internal", "quarantined")
            begun = [json.loads(line)["question"] for line in log.read_text().splitlines()].count("poison")
            assert begun in {3, 4}  # where it ends the agent before it is written down, the broker has it still
            assert (await asyncio.to_thread(caller.ask, id=poison, text="poison"))["replayed"]
            assert (await asyncio.to_thread(caller.ask, text="Hi"))["status"] == "ok"
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=False).returncode:
        pytest.skip("no permission to mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


async def test_an_agent_whose_disk_is_full_says_so_and_goes_on_when_it_is_not(small_disk):
    settings = StackSettings.scripted(journal=small_disk / "journal.db", parts=PARTS)
    async with Stack(settings) as stack:
        with mqtt_caller(stack, filters=["edgevoice/v1/orin/reply/demo/#", STATE]) as caller:
            answered = (await asyncio.to_thread(caller.ask, text="Hi"))["id"]
            filler = small_disk / "filler"
            with filler.open("wb", buffering=0) as file:
                while _grew(file):
                    pass
            await until(caller, phase="degraded", faults=["journal"], accepting=False, asking=True)
            error = (await asyncio.to_thread(caller.ask, text="Hi"))["error"]
            assert (error["code"], error["reason"], error["retriable"]) == ("internal", "storage_unavailable", True)
            filler.unlink()
            await until(caller, phase="ready", faults=[], accepting=True)
            assert (await asyncio.to_thread(caller.ask, text="Hi"))["status"] == "ok"
            assert (await asyncio.to_thread(caller.ask, id=answered, text="Hi"))["replayed"]


def _grew(file):
    try:
        return file.write(bytes(4_096))
    except OSError:
        return 0


async def until(caller, *, asking=False, **expected):
    """Returns once the agent's state says so; `asking` until then, because only who writes finds a disk full."""
    state = None
    while state is None or any(state[name] != value for name, value in expected.items()):
        if asking:
            caller.publish(caller.request(), {"text": "long " * 1_000})
        state = json.loads((await asyncio.to_thread(caller.next, STATE)).payload)
