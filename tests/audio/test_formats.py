"""Sound written down as asked: each format, rate and size, whole and in chunks."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.audio import Audio, decode_wav, encode_wav
from agent.audio.formats import Encoded, chunks, encode
from agent.contract.errors import ErrorCode
from agent.contract.limits import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES
from agent.contract.terms import AudioFormat, Stage
from agent.errors import AudioError
from tests.wav_files import silence, sine

WAV, PCM, OPUS = AudioFormat.WAV, AudioFormat.PCM, AudioFormat.OPUS


def clip_of(samples, rate: int = 16_000) -> Audio:
    return Audio(np.asarray(samples, dtype=np.float32), rate)


def tone(rate: int = 22_050, *, hz: float = 1_000, seconds: float = 0.5) -> Audio:
    return clip_of(sine(rate, hz=hz, seconds=seconds), rate)


def noise(seconds: float, rate: int, *, level: float = 1.0) -> Audio:
    return clip_of(np.random.default_rng(7).uniform(-level, level, round(rate * seconds)), rate)


def played(made: Encoded, kind: AudioFormat) -> Audio:
    """What a listener hears who knows nothing but the chunk and its rate."""
    if kind is PCM:
        return Audio.from_pcm16(np.frombuffer(made.data, "<i2"), made.sample_rate)
    samples, rate = soundfile.read(io.BytesIO(made.data), dtype="float32")
    assert rate == made.sample_rate
    return Audio(samples, rate)


def loudest_frequency(audio: Audio) -> float:
    spectrum = np.abs(np.fft.rfft(audio.samples * np.hanning(len(audio.samples))))
    return float(spectrum.argmax()) / audio.duration_s


class TestEncoding:
    @pytest.mark.parametrize("rate", [None, 8_000, 16_000, 44_100, 48_000])
    @pytest.mark.parametrize("kind", AudioFormat)
    def test_pitch_level_and_length_stay(self, kind, rate):
        made = encode(tone(), kind, sample_rate=rate)

        heard = played(made, kind)

        assert made.duration_ms == 500
        assert heard.duration_s == pytest.approx(0.5, abs=0.001)
        assert loudest_frequency(heard) == pytest.approx(1_000, abs=4)
        assert heard.level_dbfs == pytest.approx(tone().level_dbfs, abs=1)

    @pytest.mark.parametrize(
        ("asked", "given"), [(8_000, 8_000), (11_025, 12_000), (22_050, 24_000), (44_100, 48_000), (96_000, 48_000)]
    )
    def test_opus_takes_the_next_rate_that_it_knows(self, asked, given):
        assert encode(tone(asked), OPUS).sample_rate == given
        assert encode(tone(16_000), OPUS, sample_rate=asked).sample_rate == given

    @pytest.mark.parametrize("kind", [WAV, PCM])
    def test_others_have_the_rate_that_was_asked_for(self, kind):
        assert encode(tone(), kind).sample_rate == 22_050
        assert encode(tone(), kind, sample_rate=11_025).sample_rate == 11_025

    def test_wav_and_samples_are_the_same_sound(self):
        assert encode(tone(), WAV).data == encode_wav(tone())
        assert encode(tone(), PCM).data == tone().pcm16()

    @pytest.mark.parametrize("samples", [0, 1, 10, 159, 319])
    @pytest.mark.parametrize("kind", AudioFormat)
    def test_the_shortest_clips_are_whole(self, kind, samples):
        made = encode(clip_of(sine()[:samples]), kind)

        assert len(played(made, kind).samples) == max(samples, 1 if kind is OPUS else 0)

    @pytest.mark.parametrize("kind", AudioFormat)
    def test_what_is_no_number_is_silence(self, kind):
        assert played(encode(clip_of([math.nan] * 960), kind), kind).is_silent

    def test_opus_is_small(self):
        second = noise(1, 16_000, level=0.1)

        assert len(encode(second, OPUS).data) < len(encode(second, WAV).data) / 6
        assert len(encode(clip_of(silence(seconds=0.02)), OPUS).data) < 400

    @pytest.mark.parametrize("failure", [soundfile.LibsndfileError(1), ValueError("Invalid combination of format")])
    def test_a_machine_without_opus_says_so(self, failure, monkeypatch):
        def fail(*_: object, **__: object) -> None:
            raise failure

        monkeypatch.setattr(soundfile, "write", fail)

        with pytest.raises(AudioError) as refused:
            encode(tone(), OPUS)

        assert (refused.value.code, refused.value.reason) == (ErrorCode.UNSUPPORTED_MEDIA, "no_opus")
        assert (refused.value.stage, refused.value.field) == (Stage.TTS, "tts.format")


class TestChunks:
    @pytest.mark.parametrize("kind", AudioFormat)
    @pytest.mark.parametrize("max_bytes", [None, MAX_CHUNK_BYTES])
    def test_one_where_it_fits(self, kind, max_bytes):
        (only,) = chunks(tone(), kind, max_bytes=max_bytes)

        assert only.duration_ms == 500

    @pytest.mark.parametrize("kind", AudioFormat)
    def test_one_of_nothing(self, kind):
        (only,) = chunks(clip_of([]), kind, max_bytes=MIN_CHUNK_BYTES)

        assert only.duration_ms == 0

    @pytest.mark.parametrize("kind", AudioFormat)
    def test_cut_where_it_is_quiet(self, kind):
        word, pause = sine(seconds=0.4), silence(seconds=0.05)
        whole = clip_of([*word, *pause, *word, *pause, *word])
        most = 2 * round(16_000 * 0.5) if kind is not OPUS else len(encode(whole, OPUS).data) * 2 // 5

        made = list(chunks(whole, kind, max_bytes=most))

        for chunk in made[:-1]:
            assert np.abs(played(chunk, kind).samples[-80:]).max() < 0.01

    @given(
        kind=st.sampled_from([WAV, PCM]),
        length=st.integers(0, 40_000),
        rate=st.sampled_from([8_000, 16_000, 22_050, 48_000]),
        to=st.sampled_from([None, 8_000, 24_000]),
        max_bytes=st.integers(MIN_CHUNK_BYTES, MAX_CHUNK_BYTES),
    )
    def test_joined_they_are_the_whole(self, kind, length, rate, to, max_bytes):
        whole = clip_of(noise(5, rate, level=0.5).samples[:length], rate)

        made = list(chunks(whole, kind, sample_rate=to, max_bytes=max_bytes))

        assert max(len(chunk.data) for chunk in made) <= max_bytes
        joined = np.concatenate([played(chunk, kind).samples for chunk in made])
        np.testing.assert_array_equal(joined, played(encode(whole, kind, sample_rate=to), kind).samples)

    @settings(max_examples=10)
    @given(
        rate=st.sampled_from([8_000, 22_050, 48_000]),
        seconds=st.floats(0.01, 2),
        level=st.sampled_from([0.0, 0.01, 1.0]),
        max_bytes=st.integers(MIN_CHUNK_BYTES, 8_192),
    )
    def test_opus_keeps_the_bound_and_the_length_whatever_it_makes_of_the_sound(self, rate, seconds, level, max_bytes):
        whole = noise(seconds, rate, level=level)

        made = list(chunks(whole, OPUS, max_bytes=max_bytes))

        assert max(len(chunk.data) for chunk in made) <= max_bytes
        length = sum(played(chunk, OPUS).duration_s for chunk in made)
        assert length == pytest.approx(whole.duration_s, abs=1 / made[0].sample_rate)

    def test_few_are_much_smaller_than_they_may_be(self):
        whole = clip_of([*silence(seconds=2), *noise(2, 16_000).samples, *silence(seconds=2), *sine(seconds=2)])

        sizes = [len(chunk.data) for chunk in chunks(whole, OPUS, max_bytes=4_096)]

        assert len(sizes) <= 2 * -(-sum(sizes) // 4_096) + 2

    def test_a_chunk_of_wav_is_a_file_that_the_agent_reads(self):
        first, *_ = chunks(tone(), WAV, max_bytes=MIN_CHUNK_BYTES)

        assert decode_wav(first.data, max_s=1).sample_rate == 22_050
