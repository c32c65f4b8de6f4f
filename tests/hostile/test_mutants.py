"""Good files with a few bytes changed, cut or doubled: each is heard or refused, and nothing else ever happens."""

import os
import random

import numpy as np
import pytest

from agent.audio import decode_wav
from agent.contract.errors import ErrorCode
from agent.errors import AudioError
from tests.wav_files import FORMATS, chunk, fmt, riff, sine, wav

pytestmark = pytest.mark.once

MUTANTS = 1_000_000 if os.environ.get("EDGEVOICE_LONG") else 20_000
SEEDS = [
    *(
        wav(sine(seconds=0.01), tag=tag, bits=bits, extensible=extensible)
        for tag, bits in FORMATS
        for extensible in (False, True)
    ),
    wav(np.stack([sine(seconds=0.01)] * 2, axis=1), bits=24, before=chunk(b"LIST", b"INFO odd"), data_size=0),
    riff(fmt(0x0011, bits=4), chunk(b"data", bytes(64))),
    riff(fmt(), *[chunk(b"LIST", b"ab")] * 60, chunk(b"data", bytes(64))),
]
TELLING = (0, 1, 2, 3, 6, 7, 0x7F, 0x80, 0xFE, 0xFF)
"""Values of a byte that a header is more likely to mean something by."""


def mutant(chance):
    file = bytearray(chance.choice(SEEDS))
    header = min(len(file), 100)
    for _ in range(chance.randint(1, 8)):
        file[chance.randrange(header)] = chance.choice(TELLING) if chance.random() < 0.5 else chance.randrange(256)
    if chance.random() < 0.3:
        del file[chance.randrange(len(file)) :]
    if chance.random() < 0.1:
        at = chance.randrange(header)
        file[at:at] = file[: chance.randrange(header)]
    return bytes(file)


@pytest.mark.timeout(1_200)
def test_a_mutant_is_heard_or_refused():
    seed = int(os.environ.get("EDGEVOICE_SEED", "4"))
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    heard = 0
    for number in range(MUTANTS):
        file = mutant(chance)
        try:
            audio = decode_wav(file, max_s=60)
        except AudioError as refused:
            assert refused.reason or refused.code is ErrorCode.AUDIO_TOO_LONG  # noqa: PT017 - both outcomes are right
        except BaseException:  # noqa: BLE001 - which is what must never happen
            pytest.fail(f"mutant {number} of seed {seed}: {file!r}")
        else:
            heard += 1
            assert np.isfinite(audio.samples).all()
    assert MUTANTS / 20 < heard < MUTANTS
