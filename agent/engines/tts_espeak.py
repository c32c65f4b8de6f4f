"""Text to speech with espeak-ng: a hundred languages, tiny and fast, from the package espeakng-loader."""

from __future__ import annotations

import ctypes
import unicodedata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from agent.audio import Audio
from agent.contract.errors import ErrorCode
from agent.contract.presence import EngineInfo
from agent.contract.terms import Stage
from agent.engines.base import CancelFlag, EngineOptions, TextToSpeech, not_installed
from agent.errors import EngineError

_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_PARAMETER_RATE = 1
_PARAMETER_PITCH = 3
_CHARS_UTF8 = 1
_WPM = (80, 450)
_OnSamples = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Voice(ctypes.Structure):
    """The head of espeak's espeak_VOICE."""

    _fields_ = (("name", ctypes.c_char_p), ("languages", ctypes.c_void_p))


class EspeakOptions(EngineOptions):
    """How it sounds."""

    voice: str = "en-us"
    """Voice where a request names none, by language; `+f3` and the like make variants."""
    words_per_minute: int = Field(default=165, ge=_WPM[0], le=_WPM[1])
    """Pace at speed 1 [words/min]."""
    pitch: int = Field(default=50, ge=0, le=100)
    """How high the voice is; 50 is its own."""


class Espeak:
    """Speaks in the language that its voice is named after."""

    Options: ClassVar[type[EngineOptions]] = EspeakOptions
    one_core: ClassVar[bool] = True

    def __init__(self, options: EspeakOptions, models_dir: Path) -> None:
        import espeakng_loader  # noqa: PLC0415 - only who takes this engine needs the library

        self._options = options
        try:
            self._espeak = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        except OSError as exc:
            raise EngineError(Stage.TTS, f"espeak-ng cannot load: {exc}") from exc
        data = str(espeakng_loader.get_data_path()).encode()
        self._rate = self._espeak.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, data, _INITIALIZE_DONT_EXIT)
        if self._rate <= 0:
            raise EngineError(Stage.TTS, "espeak-ng cannot load its data")
        self._languages = _languages(self._espeak)
        self._set_voice(options.voice)

    @classmethod
    def missing(cls, options: EspeakOptions, models_dir: Path) -> str | None:
        """The package, where it is not installed."""
        if find_spec("espeakng_loader") is None:
            return not_installed("espeakng-loader", extra="embedded")
        return None

    @classmethod
    def needs_bytes(cls, options: EspeakOptions, models_dir: Path) -> int:
        """As measured."""
        return 64 * 2**20

    @property
    def info(self) -> EngineInfo:
        """Its languages, each with a voice of the same name; the default first."""
        self._espeak.espeak_Info.restype = ctypes.c_char_p
        return EngineInfo(
            name="espeak",
            model=self._options.voice,
            version=self._espeak.espeak_Info(None).decode(),
            languages=self._languages,
            voices=tuple(dict.fromkeys((self._options.voice, *self._languages))),
            sample_rate=self._rate,
        )

    def synthesize(self, text: str, *, voice: str | None, speed: float, cancelled: CancelFlag) -> Audio:
        """`text` as it sounds; `cancelled` is looked at a few times a second of speech."""
        if not any(unicodedata.category(character)[0] in "LNS" for character in text):
            raise EngineError(Stage.TTS, "nothing in the text that could be said", reason="unsayable", retriable=False)
        self._set_voice(voice or self._options.voice)
        pace = round(self._options.words_per_minute * speed)
        self._espeak.espeak_SetParameter(_PARAMETER_RATE, min(max(pace, _WPM[0]), _WPM[1]), 0)
        self._espeak.espeak_SetParameter(_PARAMETER_PITCH, self._options.pitch, 0)
        return self._speak(text, cancelled)

    def close(self) -> None:
        """Frees the voice."""
        self._espeak.espeak_Terminate()

    def _set_voice(self, name: str) -> None:
        known = name.partition("+")[0] in (*self._languages, "en")
        if not known or self._espeak.espeak_SetVoiceByName(name.encode()) != 0:
            raise EngineError(
                Stage.TTS,
                f"espeak has no voice {name!r}; a voice is a language, such as en-us or de",
                code=ErrorCode.NOT_FOUND,
            )

    def _speak(self, text: str, cancelled: CancelFlag) -> Audio:
        pieces: list[bytes] = []

        def take(samples: Any, count: int, _events: int | None) -> int:
            if samples and count:
                pieces.append(ctypes.string_at(samples, 2 * count))
            return int(cancelled())

        callback = _OnSamples(take)
        self._espeak.espeak_SetSynthCallback(callback)
        said = text.replace("\0", " ").encode()
        self._espeak.espeak_Synth(said, ctypes.c_size_t(len(said) + 1), 0, 1, 0, _CHARS_UTF8, None, None)
        self._espeak.espeak_Synchronize()
        return Audio.from_pcm16(np.frombuffer(b"".join(pieces), dtype=np.int16), self._rate)


def _languages(espeak: ctypes.CDLL) -> tuple[str, ...]:
    espeak.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    voices = espeak.espeak_ListVoices(None)
    names = []
    for voice in voices:  # ends with a null pointer
        if not voice:
            break
        names.append(ctypes.string_at(voice.contents.languages + 1).decode())  # after a byte of priority
    return tuple(dict.fromkeys(names))


_: type[TextToSpeech] = Espeak
