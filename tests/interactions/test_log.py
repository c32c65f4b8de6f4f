"""The log as who reads it finds it: a line for each request, in files of bounded size, whatever the disk does."""

import errno
import json
import logging
import os
import threading
from pathlib import Path

import pytest

from agent.contract.errors import ErrorCode
from agent.contract.messages import Message, Request
from agent.contract.reply import ErrorBody, Reply, Timings, TranscriptBody, Usage
from agent.contract.terms import Operation, Role, Status
from agent.interactions.file import LogFile
from agent.interactions.log import InteractionLog, InteractionsPathError
from agent.interactions.settings import InteractionsSettings
from agent.journal.entries import Admitted, ReplyTo, RunKey

pytestmark = pytest.mark.anyio

REPLY = Reply(
    id="r1",
    status=Status.OK,
    text="Mail ada@example.org.",
    timings_ms=Timings(total=12.5),
    usage=Usage(prompt_tokens=9, completion_tokens=4),
    agent="orin",
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "interactions.jsonl"


def asked(operation=Operation.CHAT, **fields):
    request = Request(**(fields or {"text": "How do I reach Ada?"}))
    return Admitted(RunKey("http-kitchen", "r1"), operation, request, None, ReplyTo("t"), 1e9)


def log_at(path, **settings):
    return InteractionLog(InteractionsSettings(path=path, **settings))


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def test_a_request_is_a_line(path):
    async with log_at(path) as log:
        log.ended(asked(text="Grüße?", session_id="trip", model="small"), REPLY)
    [line] = lines(path)
    assert line.pop("time").endswith("Z")
    assert line == {
        "agent": "orin",
        "client": "http-kitchen",
        "session_id": "trip",
        "id": "r1",
        "operation": "chat",
        "model": "small",
        "question": "Grüße?",
        "question_chars": 6,
        "answer": "Mail ada@example.org.",
        "answer_chars": 21,
        "status": "ok",
        "timings_ms": {"total": 12.5},
        "usage": {"prompt_tokens": 9, "completion_tokens": 4},
    }
    assert path.stat().st_mode & 0o777 == 0o600


async def test_what_was_heard_and_what_failed(path):
    error = ErrorBody(code=ErrorCode.LLM_FAILED, message="Grüße? was too hard")
    failed = Reply(id="r1", status=Status.ERROR, transcript=TranscriptBody(text="hi"), error=error, agent="orin")
    messages = [Message(role=Role.USER, content=text) for text in ("One", "Two")]
    async with log_at(path) as log:
        log.ended(asked(messages=messages), failed)
    [line] = lines(path)
    assert (line["question"], line["transcript"], line["error"]) == ("Two", "hi", "llm_failed")
    assert "answer" not in line


@pytest.mark.parametrize(("redact", "answer"), [("text", None), ("pii", "Mail [email]."), ("none", REPLY.text)])
async def test_what_is_not_to_be_kept(path, redact, answer):
    async with log_at(path, redact=redact) as log:
        log.ended(asked(), REPLY)
    [line] = lines(path)
    assert line.get("answer") == answer
    assert ("question" in line, line["question_chars"], line["answer_chars"]) == (redact != "text", 19, 21)


async def test_nothing_is_kept_without_a_path(tmp_path):
    async with InteractionLog(InteractionsSettings()) as log:
        log.ended(asked(), REPLY)
    assert list(tmp_path.iterdir()) == []


async def test_a_path_that_cannot_be_meant_names_its_setting(tmp_path):
    with pytest.raises(InteractionsPathError, match=r"^EDGEVOICE_INTERACTIONS__PATH: .*nowhere"):
        await log_at(tmp_path / "nowhere" / "log.jsonl").__aenter__()


async def test_a_pipe_that_nobody_reads_is_refused_and_not_waited_for(path):
    os.mkfifo(path)
    with pytest.raises(InteractionsPathError):
        await log_at(path).__aenter__()


def test_what_is_no_file_tells_why_it_takes_no_line():
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its number says which
        LogFile(Path("/dev/full"), max_bytes=100).append(b"{}\n")
    assert caught.value.errno == errno.ENOSPC


async def test_full_files_are_put_aside_and_the_oldest_goes(path):
    file = LogFile(path, max_bytes=100)
    for number in range(11):
        file.append(b"%049d\n" % number)
    kept = {each.name: [int(line) for line in each.read_text().split()] for each in path.parent.iterdir()}
    name = path.name
    assert kept == {name: [10], f"{name}.1": [8, 9], f"{name}.2": [6, 7], f"{name}.3": [4, 5]}
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}


async def test_a_full_disk_is_told_once_and_disturbs_nobody(path, monkeypatch, caplog):
    write = os.write
    refused = threading.Semaphore(0)

    def full(file, data):
        if not data.startswith(b'{"time"'):
            return write(file, data)
        write(file, data[:20])
        refused.release()
        raise OSError(errno.ENOSPC, "No space left on device")

    async with log_at(path) as log:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            for _ in range(3):
                log.ended(asked(), REPLY)
            for _ in range(3):
                assert refused.acquire(timeout=20)
        log.ended(asked(text="Again?"), REPLY)
    assert [line["question"] for line in lines(path)][-1] == "Again?"
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert "No space left" in told[0].getMessage()


async def test_what_is_written_too_slowly_is_left_out(path, monkeypatch, caplog):
    goes_on = threading.Event()
    append = LogFile.append
    monkeypatch.setattr(LogFile, "append", lambda file, line: goes_on.wait(20) and append(file, line))
    async with log_at(path) as log:
        for _ in range(1_200):
            log.ended(asked(), REPLY)
        goes_on.set()
    assert len(lines(path)) in {1_000, 1_001}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
