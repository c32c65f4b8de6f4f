"""What nobody is to read: neither secrets nor what people say are in a log, an argument or an environment."""

import os
import signal
from pathlib import Path

import httpx
import pytest

from agent.engines.settings import EngineSettings
from agent.stack import Part, Stack, StackSettings
from tests.callers import mqtt_caller
from tests.security.conftest import make_key
from tests.wav_files import silence, sine, wav

pytestmark = [pytest.mark.anyio, pytest.mark.once]

CANARY = "canary7"
"""In all that is asked, heard, answered and given as an option."""


def engine(**options):
    return EngineSettings(name="scripted", options=options)


@pytest.fixture
async def stack():
    settings = StackSettings.scripted(
        stt=engine(text=f"{CANARY} heard"),
        llm=engine(answer=f"{CANARY} answered: {{text}}"),
        environment={"EDGEVOICE_CHAT__SYSTEM": f"{CANARY} system"},
    )
    async with Stack(settings) as running:
        yield running


def children(pid):
    """Every process below `pid`."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended meanwhile
        if parent == pid:
            yield int(folder.name)
            yield from children(int(folder.name))


def passwords(stack):
    """The broker's, in clear."""
    return {path.read_text().strip() for path in (stack.folder / "secrets").glob("*/password")}


def say_all_of_it(stack, key):
    """Everything that can be said, well and badly, over each way in."""
    with mqtt_caller(stack) as caller:
        assert caller.ask(text=f"{CANARY} typed")["status"] == "ok"
        caller.ask(text=f"{CANARY} typed", reply_mode="both", system=f"{CANARY} own", stream=True)
        caller.ask(messages=[{"role": "user", "content": CANARY}], session_id="s", language="xx")
        for operation in ("transcribe", "speak"):
            caller.ask(operation, text=CANARY)
        for payload in (
            f'{{"text": "{CANARY}"',
            f'{{"{CANARY}": 1}}',
            f'{{"text": ["{CANARY}"]}}',
            b"\xff" + CANARY.encode(),
        ):
            caller.publish(caller.request(), payload)
        caller.ask(text=CANARY * 10_000)
        caller.ask(text=CANARY, model="nobody", tts={"voice": CANARY})
        caller.publish(f"{caller.base}/request/demo/wav/w1/both", wav(sine(seconds=1.0)))
        heard = caller.reply("w1")
        assert heard.get("transcript", {}).get("text") == f"{CANARY} heard", heard
        caller.publish(f"{caller.base}/request/demo/wav/w2/both", CANARY)
        caller.reply("w2")
    bearer = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=stack.url, headers=bearer, timeout=20) as http:
        assert http.post("/v1/ask", json={"text": CANARY, "reply_mode": "audio"}).status_code == 200
        for content in (wav(sine(seconds=1.0)), wav(silence()), CANARY.encode()):
            http.post("/v1/ask", content=content, headers={"Content-Type": "audio/wav", "Accept": "audio/wav"})
        http.post("/v1/ask", params={"text": CANARY, "session_id": CANARY})
        http.post("/v1/ask", content=f"{{{CANARY}", headers={"Content-Type": "application/json"})
        http.post("/v1/ask", json={"text": CANARY}, headers={"Authorization": f"Bearer {key}x"})
        http.post("/v1/ask", content=CANARY, headers={"Content-Type": CANARY, "Idempotency-Key": f"{CANARY}/{key}"})
        http.get(f"/v1/ask/{CANARY}", params={"key": key})


async def die_all_around(stack):
    """Kills a worker, the agent and the broker, and asks again after each."""
    [worker, *_] = children(stack.pid(Part.AGENT))
    os.kill(worker, signal.SIGKILL)
    with mqtt_caller(stack) as caller:
        caller.ask(text=CANARY)
        await stack.kill(Part.AGENT)
        caller.publish(caller.request(), {"id": "waited", "text": CANARY})
        await stack.start(Part.AGENT)
        assert caller.reply("waited")["status"] == "ok"
    await stack.restart(Part.BROKER)
    with mqtt_caller(stack) as caller:
        assert caller.ask(text=CANARY)["status"] == "ok"


async def test_neither_secrets_nor_words_are_anywhere(stack):
    key = make_key(stack, "kitchen")
    secrets = {key, key.removeprefix("ev_kitchen_"), *passwords(stack)}
    assert len(secrets) >= 5

    say_all_of_it(stack, key)
    await die_all_around(stack)

    of_ours = {pid: Path(f"/proc/{pid}") for pid in children(os.getpid())}
    assert len(of_ours) >= 6
    shown = {f"argv of {pid}": (path / "cmdline").read_bytes() for pid, path in of_ours.items()}
    environment = {f"environment of {pid}": (path / "environ").read_bytes() for pid, path in of_ours.items()}
    logs = {path.name: path.read_bytes() for path in stack.folder.glob("*.log")}
    assert set(logs) == {"agent.log", "bridge.log", "broker.log"}
    files = {
        str(path): path.read_bytes()
        for path in stack.folder.rglob("*")
        if path.is_file() and "secrets" not in path.parts
    }
    await stack.stop(Part.BRIDGE)

    for where, content in {**shown, **environment, **logs, **files}.items():
        found = [secret[:8] for secret in secrets if secret.encode() in content]
        assert not found, f"a secret is in {where}"
    for where, content in {**shown, **logs}.items():
        lines = [line for line in content.decode(errors="replace").splitlines() if CANARY in line]
        assert not lines, f"{where}: {lines[:3]}"
    assert b"answered in" in logs["agent.log"]
