"""The RIFF check: exactly the files we read get through, and what gets through is described as it is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.audio.riff import MAX_CHUNKS, Codec, WavFormat, check_wav
from agent.contract.errors import ErrorCode
from agent.contract.terms import Stage
from agent.errors import AudioError
from tests.wav_files import EXTENSIBLE, FORMATS, PCM, REFUSED, chunk, encode, fmt, riff, sine, subformat, wav

FRAMES = 160
SAMPLES = encode(sine(seconds=0.01))


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("tag", "bits"), FORMATS)
def test_describes_what_it_lets_through(tag, bits, channels, extensible):
    guid = subformat(tag) if extensible else None
    samples = bytes(FRAMES * channels * bits // 8)
    file = riff(fmt(tag, channels=channels, bits=bits, subformat=guid), chunk(b"data", samples))

    found = check_wav(file)

    assert found.format == WavFormat(Codec(tag), channels, 16_000, bits)
    assert found.frames == FRAMES
    assert found.length == len(samples)
    assert found.offset == len(file) - len(samples)
    assert found.duration_s == pytest.approx(0.01)


@pytest.mark.parametrize(("file", "reason"), REFUSED.values(), ids=REFUSED)
def test_refuses_with_the_reason(file, reason):
    with pytest.raises(AudioError) as refused:
        check_wav(file)

    assert refused.value.code is ErrorCode.UNSUPPORTED_MEDIA
    assert refused.value.reason == reason
    assert (refused.value.stage, refused.value.field) == (Stage.STT, "audio")


@pytest.mark.parametrize("rate", [8_000, 192_000])
def test_lets_the_outermost_rates_through(rate):
    assert check_wav(riff(fmt(rate=rate), chunk(b"data", SAMPLES))).format.sample_rate == rate


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFF0, len(SAMPLES) + 1, 2**31])
def test_reads_what_is_present_where_a_stream_writer_left_no_size(size):
    file = riff(fmt(), chunk(b"data", SAMPLES, size=size), size=0xFFFFFFFF)

    assert check_wav(file).frames == FRAMES


def test_reads_no_further_than_the_declared_size():
    assert check_wav(riff(fmt(), chunk(b"data", SAMPLES), chunk(b"LIST", b"INFO"))).frames == FRAMES


def test_drops_half_a_frame_at_the_end():
    found = check_wav(riff(fmt(channels=2), chunk(b"data", bytes(4 * FRAMES + 3))))

    assert (found.frames, found.length) == (FRAMES, 4 * FRAMES)


def test_takes_the_first_of_two_fmt_and_two_data_chunks():
    file = riff(fmt(), fmt(rate=48_000), chunk(b"data", SAMPLES), chunk(b"data", bytes(2)))

    found = check_wav(file)

    assert (found.format.sample_rate, found.frames) == (16_000, FRAMES)


def test_steps_over_the_padding_of_odd_chunks():
    assert check_wav(riff(chunk(b"LIST", b"odd"), fmt(), chunk(b"data", SAMPLES))).frames == FRAMES


def test_reads_as_many_chunks_as_it_says():
    others = chunk(b"LIST", b"") * (MAX_CHUNKS - 2)

    assert check_wav(riff(fmt(), others, chunk(b"data", SAMPLES))).frames == FRAMES


def test_says_what_is_in_a_file_that_ends_early():
    file = wav(sine())
    header = len(file) - len(encode(sine()))

    for end in range(header):
        with pytest.raises(AudioError) as refused:
            check_wav(file[:end])
        assert refused.value.reason == "bad_wav", end
    assert [check_wav(file[:end]).frames for end in range(header, header + 5)] == [0, 0, 1, 1, 2]


@given(st.binary(max_size=200))
@example(b"RIFF\0\0\0\0WAVEfmt ")
def test_any_bytes_are_let_through_or_refused(data):
    for file in (data, riff(data), riff(fmt(), data), riff(chunk(b"fmt ", data), chunk(b"data", SAMPLES))):
        try:
            found = check_wav(file)
        except AudioError as refused:
            assert refused.reason is not None  # noqa: PT017 - both outcomes are right
        else:
            assert found.offset + found.length <= len(file)


@given(
    tag=st.sampled_from([PCM, 2, 3, 6, 7, 0x11, EXTENSIBLE]) | st.integers(0, 0xFFFF),
    channels=st.integers(0, 3) | st.integers(0, 0xFFFF),
    rate=st.integers(0, 0xFFFFFFFF),
    bits=st.sampled_from([0, 4, 8, 16, 24, 32, 64]) | st.integers(0, 0xFFFF),
)
def test_only_the_formats_of_the_table_get_through(tag, channels, rate, bits):
    try:
        found = check_wav(riff(fmt(tag, channels=channels, rate=rate, bits=bits), chunk(b"data", SAMPLES))).format
    except AudioError:
        assert not ((tag, bits) in FORMATS and channels in {1, 2} and 8_000 <= rate <= 192_000)
    else:
        assert (found.codec, found.channels, found.sample_rate, found.bits) == (tag, channels, rate, bits)
        assert (tag, bits) in FORMATS
