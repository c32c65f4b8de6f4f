"""`/v1/audio/speech` and `/v1/audio/transcriptions`, on a stand-in for the agent."""

import base64
import io

import pytest
import soundfile

from agent.client import AudioChunk
from agent.contract.base64 import encode_base64
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.reply import AudioBody, Reply, SegmentBody, TranscriptBody
from agent.contract.terms import AudioFormat, Operation, ReplyMode, Status
from tests.bridge.fakes import WAV_BASE64, failed_reply

pytestmark = pytest.mark.anyio

SPEECH = "/v1/audio/speech"
HEAR = "/v1/audio/transcriptions"
CLIP = {"file": ("clip.wav", base64.b64decode(WAV_BASE64), "audio/wav")}
SILENCE = bytes(2 * 4_800)
"""Samples of 0.2 s at 24 kHz."""
TWO = TranscriptBody(
    text="One. Two.",
    language="en",
    duration_ms=3_661_001,
    segments=(
        SegmentBody(text=" One.", start_ms=0, end_ms=900),
        SegmentBody(text=" Two.", start_ms=900, end_ms=3_661_001),
    ),
)


def done(**fields):
    return Reply(id="r1", status=Status.OK, agent="orin", **fields)


@pytest.mark.parametrize(
    ("name", "kind", "told_as"),
    [("pcm", AudioFormat.PCM, "audio/pcm;rate=24000;channels=1"), (None, AudioFormat.WAV, "audio/wav")],
)
async def test_speech(http, agent, name, kind, told_as):
    whole = AudioBody(data=WAV_BASE64, sample_rate=24_000, duration_ms=1, format=kind)
    agent.parts.put_nowait(done(audio=whole))
    asked = {"model": "tts-1", "voice": "alloy", "input": "Hi", "response_format": name, "speed": 1.5, "x": 1}
    answer = await http.post(SPEECH, json=asked)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, told_as)
    assert answer.content == base64.b64decode(WAV_BASE64)
    [request] = agent.asked
    assert (request.text, request.reply_mode, request.tts.format, request.tts.sample_rate, request.tts.speed) == (
        "Hi", ReplyMode.AUDIO, kind, 24_000 if name else None, 1.5
    )  # fmt: skip
    assert agent.operations == [Operation.SPEAK]


async def test_speech_as_it_comes(http, agent):
    for number, sound in enumerate((b"\0\1", b"\2\3")):
        agent.parts.put_nowait(AudioChunk(number, sound, "audio/pcm;rate=24000;channels=1"))
    agent.parts.put_nowait(done(audio=AudioBody(sample_rate=24_000, duration_ms=1, chunks=2, format=AudioFormat.PCM)))
    answer = await http.post(SPEECH, json={"input": "Hi", "response_format": "pcm"})
    assert answer.content == b"\0\1\2\3"


@pytest.mark.parametrize(("kind", "told_as"), [("mp3", "audio/mpeg"), ("flac", "audio/flac")])
async def test_speech_in_a_file_that_the_agent_does_not_write(http, agent, kind, told_as):
    for number in range(3):
        agent.parts.put_nowait(AudioChunk(number, SILENCE, "audio/pcm;rate=24000"))
    agent.parts.put_nowait(done(audio=AudioBody(sample_rate=24_000, duration_ms=600, chunks=3, format=AudioFormat.PCM)))
    answer = await http.post(SPEECH, json={"input": "Hi", "response_format": kind})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, told_as)
    heard = soundfile.info(io.BytesIO(answer.content))
    assert (heard.format, heard.samplerate, heard.channels) == (kind.upper(), 24_000, 1)
    assert heard.duration == pytest.approx(0.6, abs=0.1)
    [request] = agent.asked
    assert (request.tts.format, request.tts.sample_rate) == (AudioFormat.PCM, 24_000 if kind == "mp3" else None)


async def test_a_stored_speech_in_such_a_file(http, agent):
    samples = encode_base64(SILENCE)
    whole = AudioBody(data=samples, sample_rate=24_000, duration_ms=200, format=AudioFormat.PCM)
    agent.parts.put_nowait(done(audio=whole, replayed=True))
    answer = await http.post(SPEECH, json={"input": "Hi", "response_format": "flac"})
    assert soundfile.info(io.BytesIO(answer.content)).duration == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("chunks", "replayed", "told"), [((0,), False, (500, "internal")), ((), True, (409, "conflict"))]
)
async def test_of_such_a_file_nothing_is_left_out(http, agent, chunks, replayed, told):
    for number in chunks:
        agent.parts.put_nowait(AudioChunk(number, b"\0\1", "audio/pcm;rate=24000"))
    lacks = AudioBody(sample_rate=24_000, duration_ms=1, chunks=2, format=AudioFormat.PCM)
    agent.parts.put_nowait(done(audio=lacks, replayed=replayed))
    answer = await http.post(SPEECH, json={"input": "Hi", "response_format": "mp3"})
    assert (answer.status_code, answer.json()["error"]["code"]) == told


async def test_a_file_that_this_machine_cannot_write(http, agent, monkeypatch):
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "WAV (Microsoft)"})
    answer = await http.post(SPEECH, json={"input": "Hi", "response_format": "mp3"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (415, "unsupported_media", "response_format")
    assert "ask for wav" in error["message"]
    assert not agent.asked


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"response_format": "aac"}, 400, "response_format"),
        ({"stream_format": "sse"}, 400, "stream_format"),
        ({"speed": 4.0}, 400, "speed"),
        ({"input": ""}, 400, "input"),
        ({"model": "bark"}, 404, "model"),
    ],
)
async def test_speech_that_is_refused(http, agent, fields, status, param):
    answer = await http.post(SPEECH, json={"input": "Hi", "voice": "alloy", **fields})
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert not agent.asked


async def test_speech_that_fails(http, agent):
    agent.parts.put_nowait(failed_reply(ContractError(ErrorCode.NOT_FOUND, "no such voice", field="tts.voice")))
    answer = await http.post(SPEECH, json={"input": "Hi", "voice": "otto"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "voice")
    error = ContractError(ErrorCode.TTS_FAILED, "nothing could be said", reason="unsayable", retriable=False)
    agent.parts.put_nowait(failed_reply(error))
    answer = await http.post(SPEECH, json={"input": "-"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")


@pytest.mark.parametrize(
    ("form", "media_type", "told"),
    [
        (None, "application/json", '{"text":"One. Two."}'),
        ("text", "text/plain; charset=utf-8", "One. Two.\n"),
        (
            "srt",
            "text/plain; charset=utf-8",
            "1\n00:00:00,000 --> 00:00:00,900\nOne.\n\n2\n00:00:00,900 --> 01:01:01,001\nTwo.\n",
        ),
        (
            "vtt",
            "text/vtt; charset=utf-8",
            "WEBVTT\n\n00:00:00.000 --> 00:00:00.900\nOne.\n\n00:00:00.900 --> 01:01:01.001\nTwo.\n",
        ),
    ],
)
async def test_transcripts(http, agent, form, media_type, told):
    agent.outcome = done(transcript=TWO)
    fields = {"model": "whisper-1", "language": "en", "prompt": "numbers", "temperature": "0"}
    answer = await http.post(HEAR, files=CLIP, data={**fields, **({"response_format": form} if form else {})})
    assert (answer.status_code, answer.headers["Content-Type"], answer.text) == (200, media_type, told)
    [asked] = agent.asked
    assert (asked.audio, asked.language, asked.stt.prompt) == (WAV_BASE64, "en", "numbers")
    assert agent.operations == [Operation.TRANSCRIBE]


async def test_a_transcript_with_all_that_is_known(http, agent):
    data = {"model": "", "response_format": "verbose_json", "timestamp_granularities[]": "segment"}
    agent.outcome = done(transcript=TWO)
    told = (await http.post(HEAR, files=CLIP, data=data)).json()
    assert (told["task"], told["language"], told["duration"], told["text"]) == (
        "transcribe",
        "en",
        3661.001,
        "One. Two.",
    )
    assert told["segments"][1] == {"id": 1, "start": 0.9, "end": 3661.001, "text": " Two."}


async def test_a_transcript_without_times_is_one_cue(http, agent):
    agent.outcome = done(transcript=TranscriptBody(text="Hello", duration_ms=2_000))
    answer = await http.post(HEAR, files=CLIP, data={"response_format": "srt"})
    assert answer.text == "1\n00:00:00,000 --> 00:00:02,000\nHello\n"


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"response_format": "diarized_json"}, 400, "response_format"),
        ({"stream": "true"}, 400, "stream"),
        ({"timestamp_granularities[]": "word"}, 400, "timestamp_granularities"),
        ({"language": "Englisch"}, 400, "language"),
        ({"prompt": "x" * 1_001}, 400, "prompt"),
        ({"model": "bark"}, 404, "model"),
    ],
)
async def test_transcripts_that_are_refused(http, agent, fields, status, param):
    answer = await http.post(HEAR, files=CLIP, data=fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert not agent.asked


async def test_what_is_no_clip(http, agent):
    answers = [
        await http.post(HEAR, files={"file": ("clip.wav", b"", "audio/wav")}),
        await http.post(HEAR, files={"clip": ("clip.wav", b"x", "audio/wav")}),
        await http.post(HEAR, json={}),
    ]
    agent.outcome = failed_reply(ContractError(ErrorCode.UNSUPPORTED_MEDIA, "no WAV", field="audio"))
    answers.append(await http.post(HEAR, files=CLIP))
    told = [(answer.status_code, answer.json()["error"]["param"]) for answer in answers]
    assert told == [(400, "file"), (400, "file"), (415, "Content-Type"), (415, "file")]
