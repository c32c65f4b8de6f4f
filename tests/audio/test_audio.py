"""Audio: decoding of everything the RIFF check lets through, resampling, silence, and the way back to WAV."""

from __future__ import annotations

import io
import math

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.audio import Audio, decode_wav, encode_wav
from agent.contract.errors import ErrorCode
from agent.errors import AudioError
from tests.wav_files import A_LAW, FLOAT, FORMATS, G711, MU_LAW, PCM, REFUSED, chunk, fmt, riff, silence, sine, wav

RATES = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000]
STEP = {(PCM, 8): 1 / 128, (PCM, 16): 1 / 32_768, (A_LAW, 8): 0.04, (MU_LAW, 8): 0.04}
"""Coarsest step of a format, where it is not finer than float32."""


def decode(file: bytes) -> Audio:
    return decode_wav(file, max_s=60)


def clip_of(samples: npt.ArrayLike, rate: int = 16_000) -> Audio:
    return Audio(np.asarray(samples, dtype=np.float32), rate)


def tone(rate: int, **shape: float) -> Audio:
    return clip_of(sine(rate, **shape), rate)


def noise(dbfs: float, *, seconds: float = 10.0) -> Audio:
    return clip_of(np.random.default_rng(7).normal(0, 10 ** (dbfs / 20), round(16_000 * seconds)))


def loudest_frequency(audio: Audio) -> float:
    spectrum = np.abs(np.fft.rfft(audio.samples * np.hanning(len(audio.samples))))
    return float(spectrum.argmax()) / audio.duration_s


def rms(audio: Audio) -> float:
    middle = audio.samples[len(audio.samples) // 4 : -len(audio.samples) // 4]
    return float(np.sqrt(np.mean(middle.astype(np.float64) ** 2)))


class TestDecoding:
    @pytest.mark.parametrize("extensible", [False, True])
    @pytest.mark.parametrize(("tag", "bits"), FORMATS)
    def test_every_format(self, tag, bits, extensible):
        heard = decode(wav(sine(), tag=tag, bits=bits, extensible=extensible))

        assert heard.samples.dtype == np.float32
        assert heard.samples.flags.c_contiguous
        assert heard.sample_rate == 16_000
        np.testing.assert_allclose(heard.samples, sine(), atol=STEP.get((tag, bits), 1e-6))

    @pytest.mark.parametrize("tag", [A_LAW, MU_LAW])
    def test_every_code_of_g711(self, tag):
        file = riff(fmt(tag, bits=8), chunk(b"data", bytes(range(256))))

        np.testing.assert_array_equal(decode(file).samples, G711[tag])

    @pytest.mark.parametrize(("tag", "bits"), FORMATS)
    def test_stereo_is_mixed_down(self, tag, bits):
        file = wav(np.stack([sine(level=0.6), sine(level=0.2)], axis=1), tag=tag, bits=bits)

        heard = decode(file)

        assert heard.samples.flags.c_contiguous
        np.testing.assert_allclose(heard.samples, sine(level=0.4), atol=STEP.get((tag, bits), 1e-6))

    @pytest.mark.parametrize(("tag", "bits"), FORMATS)
    def test_agrees_with_a_full_wav_reader(self, tag, bits):
        file = wav(sine(level=1.0), tag=tag, bits=bits)

        expected, _ = soundfile.read(io.BytesIO(file), dtype="float32")

        np.testing.assert_array_equal(decode(file).samples, expected)

    @pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFF0])
    def test_a_streamed_file_is_read_to_its_end(self, size):
        np.testing.assert_allclose(decode(wav(sine(), data_size=size)).samples, sine(), atol=1e-4)

    def test_other_chunks_are_not_heard(self):
        file = wav(sine(), before=chunk(b"LIST", b"INFO odd"), after=chunk(b"data", bytes(99)))

        np.testing.assert_allclose(decode(file).samples, sine(), atol=1e-4)

    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("bits", [32, 64])
    def test_what_is_no_sample_becomes_one(self, bits, channels):
        wild = np.array([math.nan, math.inf, -math.inf, 1e30, -1e30, 0.25])

        with np.errstate(over="ignore"):
            file = wav(np.stack([wild] * channels, axis=1), tag=FLOAT, bits=bits)

        np.testing.assert_array_equal(decode(file).samples, [0, 1, -1, 1, -1, 0.25])

    def test_opposite_infinities_mix_to_silence(self):
        assert decode(wav(np.array([[math.inf, -math.inf]]), tag=FLOAT, bits=32)).samples == [0]

    @pytest.mark.parametrize("rest", [b"", b"\0"])
    def test_no_sample_is_no_speech(self, rest):
        with pytest.raises(AudioError) as refused:
            decode(riff(fmt(), chunk(b"data", rest)))

        assert (refused.value.code, refused.value.reason) == (ErrorCode.NO_SPEECH, "empty_audio")

    @pytest.mark.parametrize(("file", "reason"), REFUSED.values(), ids=REFUSED)
    def test_what_the_check_refuses_is_refused(self, file, reason):
        with pytest.raises(AudioError) as refused:
            decode(file)

        assert refused.value.reason == reason


class TestLengthLimit:
    def test_a_clip_of_exactly_the_limit_is_heard(self):
        assert decode_wav(wav(sine(seconds=0.5)), max_s=0.5).duration_s == 0.5

    def test_a_longer_one_is_refused_with_both_numbers_before_it_is_decoded(self, monkeypatch):
        monkeypatch.setattr(soundfile, "read", lambda *_, **__: pytest.fail("decoded"))

        with pytest.raises(AudioError) as refused:
            decode_wav(wav(sine(seconds=0.6), tag=FLOAT, bits=32), max_s=0.5)

        assert refused.value.code is ErrorCode.AUDIO_TOO_LONG
        assert (refused.value.limit, refused.value.actual) == (0.5, 0.6)

    def test_only_what_is_present_counts(self):
        assert decode_wav(wav(sine(seconds=0.5), data_size=2**31), max_s=0.5).duration_s == 0.5


def test_a_failure_of_the_decoder_is_an_audio_error(monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise soundfile.LibsndfileError(1)

    monkeypatch.setattr(soundfile, "read", fail)

    with pytest.raises(AudioError) as refused:
        decode(wav(sine(), tag=FLOAT, bits=32))

    assert (refused.value.code, refused.value.reason) == (ErrorCode.UNSUPPORTED_MEDIA, "bad_wav")
    assert isinstance(refused.value.__cause__, soundfile.LibsndfileError)


class TestResampling:
    @pytest.mark.parametrize("to", RATES)
    @pytest.mark.parametrize("rate", RATES)
    def test_a_tone_keeps_its_pitch_level_and_length(self, rate, to):
        original = tone(rate, hz=1_000, seconds=0.25)

        heard = original.resampled(to)

        assert heard.sample_rate == to
        assert heard.samples.dtype == np.float32
        assert heard.duration_s == pytest.approx(original.duration_s, abs=1 / to)
        assert loudest_frequency(heard) == pytest.approx(1_000, abs=4)
        assert rms(heard) == pytest.approx(rms(original), rel=0.01)

    def test_what_the_lower_rate_cannot_hold_is_gone(self):
        assert rms(tone(48_000, hz=12_000, seconds=0.25).resampled(16_000)) < 1e-4

    def test_the_same_rate_is_the_same_object(self):
        clip = tone(16_000)

        assert clip.resampled(16_000) is clip

    def test_no_sample_passes_full_scale(self):
        square = clip_of(np.sign(sine(hz=100)))

        assert np.abs(square.resampled(48_000).samples).max() <= 1

    def test_of_nothing_is_nothing(self):
        assert clip_of([], 48_000).resampled(16_000).duration_s == 0


class TestEncoding:
    @pytest.mark.parametrize("rate", RATES)
    def test_every_16_bit_value_survives_the_round_trip(self, rate):
        every = np.arange(-32_768, 32_768, dtype="<i2")

        heard = decode(encode_wav(clip_of(every / 32_768, rate)))

        assert heard.sample_rate == rate
        assert heard.pcm16() == every.tobytes()

    def test_is_what_any_reader_calls_16_bit_mono(self):
        with soundfile.SoundFile(io.BytesIO(encode_wav(tone(22_050)))) as file:
            assert (file.format, file.subtype, file.channels, file.samplerate) == ("WAV", "PCM_16", 1, 22_050)
            assert file.frames == 2_205

    def test_at_another_rate(self):
        heard = decode(encode_wav(tone(22_050, hz=1_000, seconds=0.25), sample_rate=8_000))

        assert heard.sample_rate == 8_000
        assert loudest_frequency(heard) == pytest.approx(1_000, abs=4)

    def test_rounds_and_clips(self):
        clip = clip_of([0, 0.6 / 32_768, -0.6 / 32_768, 1, 2, -1, -2, math.inf, -math.inf, math.nan])

        written = np.frombuffer(clip.pcm16(), "<i2")

        assert written.tolist() == [0, 1, -1, 32_767, 32_767, -32_768, -32_768, 32_767, -32_768, 0]

    def test_leaves_the_clip_alone(self):
        clip = tone(16_000)

        clip.pcm16()

        np.testing.assert_array_equal(clip.samples, tone(16_000).samples)


class TestSilence:
    @pytest.mark.parametrize(
        "clip",
        [
            clip_of([]),
            decode(wav(silence())),
            decode(wav(silence(), tag=MU_LAW, bits=8)),
            decode(wav(silence(), tag=A_LAW, bits=8)),
            decode(wav(silence() + 0.9)),
            clip_of([1.0]),
            noise(-60),
            noise(-90),
            tone(16_000, level=10 ** (-62 / 20), seconds=1),
        ],
        ids=["empty", "digital", "mu-law", "a-law", "offset", "one sample", "noise -60", "noise -90", "faint hum"],
    )
    def test_nobody_speaks(self, clip):
        assert clip.is_silent

    @pytest.mark.parametrize(
        "clip",
        [
            tone(16_000, level=0.5),
            tone(16_000, level=10 ** (-48 / 20)),
            clip_of([*silence(seconds=10), *sine(level=0.01, seconds=0.06)]),
            clip_of([*silence(seconds=0.03), *sine(level=0.1, seconds=0.01)]),
            clip_of(sine(level=0.01, seconds=1) + 0.5),
            noise(-50),
        ],
        ids=["loud", "faint", "one short word", "a last half window", "beside an offset", "hiss"],
    )
    def test_somebody_may_speak(self, clip):
        assert not clip.is_silent

    @pytest.mark.parametrize("rate", RATES)
    def test_the_level_of_a_full_scale_tone(self, rate):
        assert tone(rate, level=1.0, seconds=1).level_dbfs == pytest.approx(-3.01, abs=0.1)

    def test_digital_silence_has_no_level(self):
        assert decode(wav(silence())).level_dbfs == -math.inf


@settings(max_examples=300)
@given(
    file=st.sampled_from([wav(sine(seconds=0.01), tag=tag, bits=bits, extensible=bits > 8) for tag, bits in FORMATS]),
    changes=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 255)), max_size=8),
    end=st.integers(0, 2_000),
)
def test_a_mutated_file_is_heard_or_refused(file, changes, end):
    mutant = bytearray(file)
    for position, value in changes:
        mutant[position] = value

    try:
        heard = decode(bytes(mutant[:end]))
    except AudioError:
        return
    assert heard.samples.dtype == np.float32
    assert np.abs(heard.samples).max() <= 1
    assert decode(encode_wav(heard)).pcm16() == heard.pcm16()
