"""The contract's page says what the models say."""

import re
from pathlib import Path

import pytest

from agent.contract import limits, messages
from agent.contract import reply as replies
from agent.contract.errors import ErrorCode
from agent.contract.events import EventType
from agent.contract.terms import ID_PATTERN, AdminOperation, Operation, ReplyMode, UploadStep
from agent.contract.topics import Topics, UploadPart

PAGE = (Path(messages.__file__).parent / "README.md").read_text(encoding="utf-8")
TABLES = [line for line in PAGE.splitlines() if line.startswith("| `")]
FIRST_CELLS = [name for line in TABLES for name in re.findall(r"`([^`]+)`", line.split("|")[1])]


@pytest.mark.parametrize("field", messages.Request.model_fields)
def test_every_field_of_a_request_has_a_row(field):
    assert field in FIRST_CELLS


@pytest.mark.parametrize("field", replies.Reply.model_fields)
def test_every_field_of_a_reply_has_a_row(field):
    assert field in FIRST_CELLS


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("params", messages.Sampling),
        ("stream", messages.StreamOptions),
        ("tts", messages.VoiceOptions),
        ("stt", messages.HearingOptions),
        ("audio", replies.AudioBody),
        ("timings_ms", replies.Timings),
        ("rates", replies.Rates),
        ("usage", replies.Usage),
        ("context", replies.Context),
        ("error", replies.ErrorBody),
        ("transcript", replies.TranscriptBody),
    ],
)
def test_nested_fields_are_named(name, model):
    fields = PAGE.split("## Events", 1)[0].splitlines()
    row = [line for line in fields if line.startswith("| `") and f"`{name}`" in line.split("|")[1]][-1]
    assert [field for field in model.model_fields if f"`{field}`" not in row] == []


@pytest.mark.parametrize(
    "field", sorted(messages.UploadStart.model_fields.keys() - messages.Request.model_fields.keys())
)
def test_every_field_of_an_upload_is_named(field):
    assert f"`{field}`" in PAGE.split("## A clip in pieces", 1)[1]


def test_every_error_code_has_a_row():
    assert [code.value for code in ErrorCode] == [cell for cell in FIRST_CELLS if cell in {c.value for c in ErrorCode}]


@pytest.mark.parametrize("event", EventType)
def test_every_event_is_named(event):
    assert f"`{event.value}`" in PAGE


def test_every_topic_has_a_row():
    topics = Topics("", "{agent}")
    built = [topics.request("{client}", operation) for operation in Operation]
    reply = topics.reply("{client}", "{id}")
    built.append(topics.admin("{client}", AdminOperation.DRAIN).replace("/drain", "/{operation}"))
    built += [
        topics.template("{name}"),
        reply,
        topics.event(reply),
        topics.status,
        topics.info,
        topics.state,
        topics.probe,
    ]
    built.append(topics.audio(reply, 7).replace("/7", "/{chunk}"))
    built += [topics.upload("{client}", "{id}", UploadPart(step)) for step in (UploadStep.START, UploadStep.END)]
    built.append(topics.upload("{client}", "{id}", UploadPart(UploadStep.CHUNK, 7)).replace("/7", "/{n}"))
    built.append(topics.client_status("{client}"))
    built.append(topics.wav("{client}", "{id}", ReplyMode.TEXT).replace("/text", "/{reply_mode}"))
    assert sorted(topic.removeprefix("/") for topic in built) == sorted(
        cell for cell in FIRST_CELLS if cell.startswith(("{agent}", "clients/"))
    )


@pytest.mark.parametrize("operation", AdminOperation)
def test_every_operators_call_is_explained(operation):
    assert f"`{operation.value}`" in PAGE.split("## Operators", 1)[1]


def test_numbers_are_the_constants():
    assert ID_PATTERN in PAGE
    assert f"up to {limits.MAX_METADATA_BYTES} bytes" in PAGE
    assert f"up to {limits.MAX_CORRELATION_BYTES} bytes" in PAGE
