"""Clips that come in pieces: whatever the pieces, what is heard and what is kept is the clip."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.audio import Audio, decode_wav
from agent.audio.arriving import MAX_HEADER_BYTES, ArrivingClip
from agent.audio.riff import check_wav
from agent.contract.errors import ErrorCode
from agent.contract.terms import AudioFormat
from agent.errors import AudioError
from tests.wav_files import FORMATS, REFUSED, chunk, encode, fmt, riff, silence, sine, wav

STEREO = np.stack([sine(seconds=0.02), sine(hz=300, seconds=0.02)], axis=1)
FILES = [
    *(wav(sine(seconds=0.02), tag=tag, bits=bits, extensible=bits > 8) for tag, bits in FORMATS),
    *(wav(STEREO, rate=48_000, tag=tag, bits=bits) for tag, bits in FORMATS),
    *(wav(STEREO, data_size=size) for size in (0, 0xFFFFFFFF, 0x7FFFFFF0)),
    wav(sine(seconds=0.02), before=chunk(b"LIST", b"INFO odd"), after=chunk(b"LIST", b"odd") + chunk(b"data", b"xy")),
    wav(STEREO)[:-3],
]


def wav_file(*, max_s: float = 60) -> ArrivingClip:
    return ArrivingClip(AudioFormat.WAV, max_s=max_s)


def samples(*, rate: int = 16_000, channels: int = 1, max_s: float = 60) -> ArrivingClip:
    return ArrivingClip(AudioFormat.PCM, sample_rate=rate, channels=channels, max_s=max_s)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def hear(clip: ArrivingClip, pieces: list[bytes]) -> Audio:
    heard = [audio for piece in pieces if (audio := clip.feed(piece))]
    assert all(len(audio.samples) for audio in heard)
    return Audio(np.concatenate([audio.samples for audio in heard]), heard[0].sample_rate)


def kept(clip: ArrivingClip, pieces: list[bytes]) -> bytes:
    for piece in pieces:
        clip.feed(piece)
    return clip.wav()


@given(file=st.sampled_from(FILES), cuts=st.lists(st.integers(0, 4_000), max_size=40))
def test_a_file_cut_anywhere_is_heard_as_if_whole(file, cuts):
    clip = wav_file()

    heard = hear(clip, split(file, cuts))

    whole = decode_wav(file, max_s=60)
    assert heard.sample_rate == whole.sample_rate
    np.testing.assert_array_equal(heard.samples, whole.samples)
    assert clip.duration_s == whole.duration_s
    found = check_wav(file)
    assert clip.wav() == file[: found.offset + found.length]
    np.testing.assert_array_equal(decode_wav(clip.wav(), max_s=60).samples, whole.samples)


@pytest.mark.parametrize("file", FILES[::5])
def test_a_file_that_comes_byte_by_byte(file):
    heard = hear(wav_file(), [bytes((byte,)) for byte in file])

    np.testing.assert_array_equal(heard.samples, decode_wav(file, max_s=60).samples)


@given(
    sound=st.sampled_from([sine(seconds=0.02), STEREO]),
    cuts=st.lists(st.integers(0, 2_000), max_size=40),
    more=st.binary(max_size=1),
)
def test_samples_cut_anywhere_become_a_file(sound, cuts, more):
    clip = samples(rate=24_000, channels=sound.ndim)

    heard = hear(clip, split(encode(sound) + more, cuts))

    np.testing.assert_array_equal(heard.samples, decode_wav(wav(sound), max_s=60).samples)
    assert clip.wav() == wav(sound, rate=24_000)
    assert heard.sample_rate == 24_000


def test_each_sample_is_heard_once_and_as_soon_as_it_is_there():
    clip = wav_file()
    file = wav(STEREO, rate=16_000)

    assert clip.feed(file[:20]) is None
    assert clip.duration_s == 0
    assert clip.feed(file[20:44]) is None
    assert clip.feed(file[44:47]) is None
    first = clip.feed(file[47:53])
    assert first
    assert len(first.samples) == 2
    assert clip.duration_s == 2 / 16_000
    assert clip.wav() == file[:52]


def test_samples_that_do_not_come_make_an_empty_file():
    clip = samples()

    assert clip.feed(b"\0") is None
    assert check_wav(clip.wav()).frames == 0


def test_it_goes_on_after_it_was_asked_for():
    clip = samples()
    clip.feed(encode(sine()))
    clip.wav()

    clip.feed(encode(sine(hz=300)))

    assert clip.wav() == wav(np.concatenate((sine(), sine(hz=300))))


@pytest.mark.parametrize(
    ("clip", "first"),
    [(wav_file(max_s=0.1), wav(sine(), data_size=0)), (samples(max_s=0.1), encode(sine()))],
    ids=["wav", "pcm"],
)
def test_a_clip_too_long_is_refused_by_the_first_frame_too_many(clip, first):
    clip.feed(first)
    assert clip.duration_s == 0.1

    with pytest.raises(AudioError) as refused:
        clip.feed(b"\0\0")

    assert refused.value.code is ErrorCode.AUDIO_TOO_LONG
    assert refused.value.limit == 0.1


def test_what_a_stream_writer_promises_is_not_held_against_it():
    assert wav_file(max_s=0.1).feed(wav(sine(seconds=0.1), data_size=0x7FFFFFF0))


@pytest.mark.parametrize(("file", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_the_check_refuses_is_refused(file, reason):
    with pytest.raises(AudioError) as refused:
        kept(wav_file(), split(file, list(range(0, len(file), 1_000))))

    assert (refused.value.code, refused.value.reason) == (ErrorCode.UNSUPPORTED_MEDIA, reason)


def test_what_is_no_file_is_refused_by_its_first_bytes():
    with pytest.raises(AudioError) as refused:
        wav_file().feed(b"Ogg")

    assert refused.value.reason == "not_wav"


def test_a_header_without_end_is_refused():
    endless = riff(fmt(), chunk(b"LIST", b"", size=0x7FFFFFFF)) + bytes(MAX_HEADER_BYTES)

    with pytest.raises(AudioError, match="no samples within") as refused:
        kept(wav_file(), split(endless, list(range(0, len(endless), 65_536))))

    assert refused.value.reason == "bad_wav"


def test_what_follows_the_samples_is_forgotten():
    file = wav(silence())
    clip = wav_file()
    clip.feed(file)

    assert [clip.feed(bytes(65_536)) for _ in range(3)] == [None] * 3
    assert clip.wav() == file
