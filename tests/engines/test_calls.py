"""What host and worker say arrives as it was said."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from agent.audio import Audio
from agent.contract.errors import ErrorCode
from agent.contract.messages import Message, Sampling
from agent.contract.presence import EngineInfo
from agent.contract.terms import FinishReason, Role, Stage
from agent.engines import calls
from agent.engines.base import Delta, Segment, Transcript
from agent.engines.frames import Frame, read_frame
from agent.errors import EngineError

INFO = EngineInfo(name="scripted", model="fixed", languages=("en", "de"), sample_rate=16_000)

SAID = [
    calls.Load(name="scripted", options={"slots": 2, "voice": None}, models_dir=Path("/models")),
    calls.Ready(info=INFO, slots=2, memory_bytes=None),
    calls.Ready(info=INFO, slots=1, sessions=3, memory_bytes=7),
    calls.Listen(language="en", prompt="names"),
    calls.Pong(memory_bytes=7),
    calls.Transcribed(transcript=Transcript("it is r\u00e9sum\u00e9", "en", 0.5, (Segment("it", 0.0, 1.5),))),
    calls.Chat(asked=[Message(role=Role.USER, content="Hi")], sampling=Sampling(stop=("a", "b"), seed=0)),
    calls.Chat(asked="[INST] Hi [/INST]", sampling=Sampling()),
    calls.Piece(delta=Delta(" word")),
    calls.Piece(delta=Delta("", FinishReason.LENGTH, 3, 4, None, 2.5)),
    calls.Synthesize(text="Hi", voice=None, speed=1.25),
    calls.Failure(code=ErrorCode.NOT_FOUND, message="no voice", reason=None, limit=3.0, actual=4.0),
]


async def arrived(frame: Frame) -> Frame:
    reader = asyncio.StreamReader()
    reader.feed_data(frame.encode())
    reader.feed_eof()
    got = await read_frame(reader)
    assert got
    return got


@pytest.mark.anyio
@pytest.mark.parametrize("said", SAID, ids=lambda said: type(said).__name__)
async def test_it_arrives_as_it_was(said):
    frame = await arrived(said.frame(3))
    assert (frame.kind, frame.call) == (said.kind, 3)
    assert type(said).of(frame) == said


@pytest.mark.anyio
@pytest.mark.parametrize("samples", [np.linspace(-1, 1, 777, dtype=np.float32), np.zeros(0, np.float32)])
async def test_sound_arrives_as_it_was(samples):
    for said in (
        calls.Transcribe(audio=Audio(samples, 22_050), language="en", prompt=""),
        calls.Feed(audio=Audio(samples, 22_050)),
        calls.Synthesized(audio=Audio(samples[::2], 22_050)),
    ):
        got = type(said).of(await arrived(said.frame(3)))
        assert got.audio.sample_rate == 22_050
        assert np.array_equal(got.audio.samples, said.audio.samples)
        assert getattr(got, "language", None) == getattr(said, "language", None)


def test_a_failure_is_told_whole():
    error = EngineError(Stage.TTS, "no voice", code=ErrorCode.NOT_FOUND, reason="voice")
    told = calls.Failure.told(error).error(Stage.TTS)
    assert (told.code, told.message, told.reason, told.stage) == (error.code, error.message, "voice", Stage.TTS)
