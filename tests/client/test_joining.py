"""Chunks of speech as one file."""

import io
import itertools
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from agent.client import ogg
from agent.client.joining import joined
from agent.contract.terms import AudioFormat

RATE = 16_000
KINDS = {
    AudioFormat.WAV: {"format": "WAV", "subtype": "PCM_16"},
    AudioFormat.PCM: {"format": "RAW", "subtype": "PCM_16", "endian": "LITTLE"},
    AudioFormat.OPUS: {"format": "OGG", "subtype": "OPUS"},
}


def tone(hz, seconds):
    times = np.arange(round(seconds * RATE)) / RATE
    fade = np.minimum(1, np.minimum(times, seconds - times) * 50)
    return (0.3 * fade * np.sin(2 * np.pi * hz * times)).astype(np.float32)


def encoded(samples, kind, rate=RATE):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **KINDS[kind])
    return file.getvalue()


def decoded(file, kind):
    raw = {"samplerate": RATE, "channels": 1, **KINDS[kind]} if kind is AudioFormat.PCM else {}
    samples, rate = soundfile.read(io.BytesIO(file), dtype="float32", **raw)
    assert rate == RATE
    return samples


def pitch(samples):
    return np.argmax(np.abs(np.fft.rfft(samples))) * RATE / len(samples)


@pytest.mark.parametrize("kind", list(AudioFormat))
def test_it_sounds_like_its_chunks_one_after_the_other(kind):
    file = joined(kind)
    pieces = [file.add(encoded(tone(hz, seconds), kind)) for hz, seconds in ((440, 1.0), (880, 0.5), (300, 15.0))]
    heard = decoded(b"".join((*pieces, file.end())), kind)
    assert len(heard) == pytest.approx(16.5 * RATE, abs=0.03 * RATE)
    for begins, ends, hz in ((0.1, 0.9, 440), (1.1, 1.4, 880), (1.7, 16.3, 300)):
        assert pitch(heard[int(begins * RATE) : int(ends * RATE)]) == pytest.approx(hz, abs=4)


@pytest.mark.parametrize("kind", list(AudioFormat))
def test_what_has_arrived_can_be_played(kind):
    file = joined(kind)
    first = file.add(encoded(tone(440, 1.0), kind))
    assert len(decoded(first, kind)) == pytest.approx(RATE, abs=0.03 * RATE)


def test_a_finished_wav_file_says_how_long_it_is():
    file = joined(AudioFormat.WAV)
    assert file.head() == b""
    body = b"".join(file.add(encoded(tone(440, 0.1), AudioFormat.WAV)) for _ in range(2))
    whole = file.head() + body[len(file.head()) :]
    assert len(whole) == 8 + int.from_bytes(whole[4:8], "little") == 44 + int.from_bytes(whole[40:44], "little")
    assert len(decoded(whole, AudioFormat.WAV)) == 0.2 * RATE


def test_opus_is_one_stream_from_its_first_to_its_last_page():
    file = joined(AudioFormat.OPUS)
    whole = b"".join([file.add(encoded(tone(440, 0.3), AudioFormat.OPUS)) for _ in range(3)] + [file.end()])
    starts = [at for at in range(len(whole)) if whole[at : at + 4] == b"OggS"]
    assert [int.from_bytes(whole[at + 18 : at + 22], "little") for at in starts] == list(range(len(starts)))
    assert [whole[at + 5] for at in starts] == [2, *[0] * (len(starts) - 2), 4]
    positions = [int.from_bytes(whole[at + 6 : at + 14], "little") for at in starts]
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    ("kind", "chunk"),
    [
        (AudioFormat.WAV, b""),
        (AudioFormat.WAV, b"RIFF"),
        (AudioFormat.WAV, encoded(tone(440, 0.1), AudioFormat.WAV, rate=8_000)),
        (AudioFormat.WAV, encoded(np.zeros((100, 2)), AudioFormat.WAV)),
        (AudioFormat.PCM, b"\0"),
        (AudioFormat.OPUS, b""),
        (AudioFormat.OPUS, encoded(tone(440, 0.1), AudioFormat.WAV)),
        (AudioFormat.OPUS, encoded(tone(440, 0.1), AudioFormat.OPUS)[:-1]),
    ],
)
def test_what_does_not_belong_there(kind, chunk):
    file = joined(kind)
    file.add(encoded(tone(440, 0.1), kind))
    with pytest.raises(ValueError, match=r"chunk|page"):
        file.add(chunk)


@given(st.lists(st.binary(max_size=1_000), min_size=1, max_size=30))
def test_packets_survive_pages(packets):
    pages, content = [], list(packets)
    for number in itertools.count():
        room = list(itertools.takewhile(lambda total: total <= ogg.MOST_SEGMENTS, sums(content)))
        pages.append(ogg.page(content[: len(room)], ends_at=0, serial=1, number=number))
        del content[: len(room)]
        if not content:
            break
    assert list(ogg.packets(b"".join(pages))) == packets


def sums(packets):
    return itertools.accumulate(ogg.segments_of(packet) for packet in packets)


SHORT = {kind: encoded(tone(440, 0.02), kind) for kind in AudioFormat}


@given(st.binary(max_size=200), st.integers(0, 300), st.sampled_from(list(AudioFormat)))
def test_damage_is_said(noise, at, kind):
    with suppress(ValueError):
        joined(kind).add(SHORT[kind][:at] + noise + SHORT[kind][at + len(noise) :])
    with suppress(ValueError):
        list(ogg.packets(noise))
