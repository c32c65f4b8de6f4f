"""Text to speech with flite: English, small, clear, from the system's own libflite."""

from __future__ import annotations

import ctypes
import re
import textwrap
import unicodedata
from contextlib import suppress
from ctypes.util import find_library
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np

from agent.audio import Audio
from agent.contract.errors import ErrorCode
from agent.contract.presence import EngineInfo
from agent.contract.terms import Stage
from agent.engines.base import CancelFlag, EngineOptions, TextToSpeech
from agent.errors import EngineError

_LIBRARY = "libflite.so.1"
_LONGEST_PIECE = 300
_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+")
_SPELLED = str.maketrans({
    **dict.fromkeys("\u2018\u2019\u201a\u2032", "'"),  # single quotes
    **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'),  # double quotes
    **dict.fromkeys("\u2013\u2014\u2212", "-"),  # dashes
    "ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
    "€": " euros ", "£": " pounds ", "°": " degrees ",
})  # fmt: skip


VoiceName = Literal["slt", "rms", "awb", "kal16", "kal"]
"""A voice that flite comes with."""


class _Wave(ctypes.Structure):
    """flite's cst_wave."""

    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


class _Voice(ctypes.Structure):
    """The head of flite's cst_voice."""

    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


class FliteOptions(EngineOptions):
    """How it sounds."""

    voice: VoiceName = "slt"
    """Voice where a request names none; slt is the clearest, kal16 the fastest."""


class Flite:
    """Speaks English in one of flite's own voices."""

    Options: ClassVar[type[EngineOptions]] = FliteOptions
    one_core: ClassVar[bool] = True

    def __init__(self, options: FliteOptions, models_dir: Path) -> None:
        self._flite = _open()
        self._voices: dict[str, ctypes._Pointer[_Voice]] = {}
        for name in (options.voice, *get_args(VoiceName)):
            with suppress(OSError):  # distributions may split the voices
                self._voices.setdefault(name, _register(name))
        if options.voice not in self._voices:
            raise EngineError(Stage.TTS, f"flite has no voice {options.voice} here")
        self._default = options.voice
        self._rate = self._say("a", self._default, 1.0).sample_rate

    @classmethod
    def missing(cls, options: FliteOptions, models_dir: Path) -> str | None:
        """The system's library, where it is not installed."""
        if find_library("flite") is None:
            return f"{_LIBRARY} is not installed; on Debian, `apt-get install libflite1` brings it"
        return None

    @classmethod
    def needs_bytes(cls, options: FliteOptions, models_dir: Path) -> int:
        """As measured."""
        return 64 * 2**20

    @property
    def info(self) -> EngineInfo:
        """The voices found, the default first."""
        return EngineInfo(
            name="flite",
            model=self._default,
            languages=("en",),
            voices=tuple(self._voices),
            sample_rate=self._rate,
        )

    def synthesize(self, text: str, *, voice: str | None, speed: float, cancelled: CancelFlag) -> Audio:
        """`text` spoken sentence by sentence; what is not a Latin letter, a digit or a common sign is passed over."""
        name = voice or self._default
        if name not in self._voices:
            raise EngineError(
                Stage.TTS, f"flite has no voice {name!r}; it has {', '.join(self._voices)}", code=ErrorCode.NOT_FOUND
            )
        pieces = _pieces(text)
        if not pieces:
            raise EngineError(
                Stage.TTS,
                "nothing in the text that flite can say: it speaks Latin letters and digits",
                reason="unsayable",
                retriable=False,
            )
        spoken: list[Audio] = []
        for piece in pieces:
            if spoken and cancelled():
                break
            spoken.append(self._say(piece, name, speed))
        return Audio(np.concatenate([audio.samples for audio in spoken]), spoken[0].sample_rate)

    def close(self) -> None:
        """Nothing: flite keeps its voices for as long as the process lives."""

    def _say(self, piece: str, name: str, speed: float) -> Audio:
        voice = self._voices[name]
        self._flite.flite_feat_set_float(voice.contents.features, b"duration_stretch", 1 / speed)
        wave = self._flite.flite_text_to_wave(piece.encode("ascii"), voice)
        if not wave:
            raise EngineError(Stage.TTS, "flite could not say a sentence")
        try:
            shorts = np.ctypeslib.as_array(wave.contents.samples, (wave.contents.num_samples,))
            return Audio.from_pcm16(shorts, wave.contents.sample_rate)
        finally:
            self._flite.delete_wave(wave)


def _open() -> ctypes.CDLL:
    try:
        for dependency in (_LIBRARY, "libflite_usenglish.so.1", "libflite_cmulex.so.1"):
            ctypes.CDLL(dependency, mode=ctypes.RTLD_GLOBAL)
        flite = ctypes.CDLL(_LIBRARY)
    except OSError as exc:
        raise EngineError(Stage.TTS, f"flite cannot load: {exc}") from exc
    flite.flite_feat_set_float.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_float)
    flite.flite_feat_set_float.restype = None
    flite.flite_text_to_wave.argtypes = (ctypes.c_char_p, ctypes.POINTER(_Voice))
    flite.flite_text_to_wave.restype = ctypes.POINTER(_Wave)
    flite.delete_wave.argtypes = (ctypes.POINTER(_Wave),)
    flite.delete_wave.restype = None
    flite.flite_init()
    return flite


def _register(name: str) -> ctypes._Pointer[_Voice]:
    register = ctypes.CDLL(f"libflite_cmu_us_{name}.so.1")[f"register_cmu_us_{name}"]
    register.argtypes = (ctypes.c_char_p,)
    register.restype = ctypes.POINTER(_Voice)
    voice: ctypes._Pointer[_Voice] = register(None)
    return voice


def _pieces(text: str) -> list[str]:
    """`text` in ASCII, cut where a voice would pause, so that no single native call is long."""
    folded = unicodedata.normalize("NFKD", text.translate(_SPELLED)).encode("ascii", "ignore").decode("ascii")
    pieces = [piece for part in _SENTENCE_END.split(folded) for piece in textwrap.wrap(part, _LONGEST_PIECE)]
    return [piece for piece in pieces if any(character.isalnum() for character in piece)]


_: type[TextToSpeech] = Flite
