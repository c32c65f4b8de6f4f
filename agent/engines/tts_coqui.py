"""Text to speech with Coqui: neural voices, VITS by default, on the CPU or a GPU, through the package coqui-tts."""

from __future__ import annotations

import gc
import json
import logging
import os
import pickle
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from agent.audio import Audio
from agent.contract.errors import ErrorCode
from agent.contract.presence import EngineInfo
from agent.contract.terms import Stage
from agent.engines.base import CancelFlag, EngineOptions, TextToSpeech, all_cores_but_one, not_installed
from agent.engines.coqui_choices import choose_device, choose_language, name_speakers, some
from agent.errors import EngineError
from agent.model_files.coqui import DEFAULT_VOICE, VoiceFiles, find_voice
from agent.model_files.fault import ModelFault

_LIBRARY_BYTES = 700 * 2**20
_LONGEST_PIECE = 300
_SUMMARY_CHARS = 300
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    subprocess.SubprocessError,
)
"""What Coqui and torch raise; they have no errors of their own."""


class CoquiOptions(EngineOptions):
    """Which voice, and where it computes."""

    model: str = Field(default=DEFAULT_VOICE, min_length=1)
    """A voice by Coqui's name or by its name in the models folder; or path of its folder or its .pth file."""
    speaker: str | None = None
    """Who of a voice with several speakers speaks where a request names none; its first when left out."""
    language: str | None = None
    """Language of a voice that has several; English where it has that when left out."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """Where it computes: cpu, cuda or cuda:1; auto takes the GPU where torch sees one."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; left out, all cores but one."""
    sentence_pause_s: float = Field(default=0.2, ge=0, le=2)
    """Silence between two sentences at speed 1 [s]."""
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """Makes a text sound the same every time; left out, the voice varies a little."""
    accept_license: bool = False
    """You accept the voice's licence, though it is not free for every use."""


class Coqui:
    """Speaks with one resident voice, sentence by sentence."""

    Options: ClassVar[type[EngineOptions]] = CoquiOptions
    one_core: ClassVar[bool] = False

    def __init__(self, options: CoquiOptions, models_dir: Path) -> None:
        self._options = options
        try:
            voice = find_voice(options.model, models_dir, accept_license=options.accept_license)
            library, self._torch = load_library()
            cuda = self._torch.cuda
            self._device = choose_device(options.device, cuda.device_count() if cuda.is_available() else 0)
            self._torch.set_num_threads(options.threads or all_cores_but_one())
            self._tts = _load(library, voice).to(self._device)
            self._model = self._tts.synthesizer.tts_model
            self._rate = int(self._tts.synthesizer.output_sample_rate)
            self._name = voice.name
            self._language = choose_language(options.language, self._model.language_manager.language_names)
            self._voices = name_speakers(options.speaker, self._tts.speakers or [voice.name])
            self._warm_up()
        except ModelFault as exc:
            raise EngineError(Stage.TTS, f"coqui cannot load: {exc}") from exc
        except _FAULTS as exc:
            raise EngineError(Stage.TTS, f"coqui cannot load the voice {options.model}: {_summary(exc)}") from exc

    @classmethod
    def missing(cls, options: CoquiOptions, models_dir: Path) -> str | None:
        """The package, the voice or what the voice needs, where it is not there or not to be used."""
        if find_spec("TTS") is None or find_spec("torch") is None:
            return not_installed("coqui-tts", extra="coqui")
        try:
            version("coqui-tts")
        except PackageNotFoundError:
            return "the package TTS stands where coqui-tts, which goes on with it, should; `pip uninstall TTS` first"
        try:
            find_voice(options.model, models_dir, accept_license=options.accept_license)
        except ModelFault as exc:
            return str(exc)
        return None

    @classmethod
    def needs_bytes(cls, options: CoquiOptions, models_dir: Path) -> int:
        """The library with its work space, as measured, and the voice."""
        try:
            voice = find_voice(options.model, models_dir, accept_license=options.accept_license)
        except ModelFault:
            return 0
        return _LIBRARY_BYTES + voice.checkpoint.stat().st_size

    @property
    def info(self) -> EngineInfo:
        """The voice and its speakers, the default first; of its languages, the one it is set to."""
        return EngineInfo(
            name="coqui",
            model=self._name,
            version=version("coqui-tts"),
            languages=(self._language,),
            voices=tuple(self._voices),
            sample_rate=self._rate,
            device=self._device,
        )

    def synthesize(self, text: str, *, voice: str | None, speed: float, cancelled: CancelFlag) -> Audio:
        """`text` spoken sentence by sentence; what the voice has no sound for is passed over."""
        speaker = self._speaker(voice)
        pieces = self._pieces(text)
        if not pieces:
            raise EngineError(
                Stage.TTS,
                f"nothing in the text that the voice {self._name} can say",
                reason="unsayable",
                retriable=False,
            )
        if self._options.seed is not None:
            self._torch.manual_seed(self._options.seed)
        pause = np.zeros(round(self._options.sentence_pause_s / speed * self._rate), dtype=np.float32)
        spoken: list[npt.NDArray[np.float32]] = []
        with self._pace(speed) as paced:
            for piece in pieces:
                if spoken and cancelled():
                    break
                spoken += [self._say(piece, speaker, paced), pause]
        return Audio(np.concatenate(spoken[:-1]), self._rate)

    def close(self) -> None:
        """Frees the voice."""
        del self._tts, self._model
        gc.collect()
        if self._device != "cpu":
            self._torch.cuda.empty_cache()

    def _warm_up(self) -> None:
        """Imports what Coqui puts off until it meets the first number, which takes it two seconds."""
        if clean := getattr(self._model.tokenizer, "text_cleaner", None):
            clean("1", lang=self._language.partition("-")[0])

    def _speaker(self, voice: str | None) -> str | None:
        """Whom Coqui is to be told of; a voice with one speaker takes none."""
        name = voice or next(iter(self._voices))
        if name not in self._voices:
            raise EngineError(
                Stage.TTS, f"coqui has no voice {name!r}; it has {some(self._voices)}", code=ErrorCode.NOT_FOUND
            )
        return self._voices[name] if self._tts.is_multi_speaker else None

    def _pieces(self, text: str) -> list[str]:
        """The sentences in `text` that have something to say, cut so that no single native call is long."""
        sentences = self._tts.synthesizer.split_into_sentences(text.replace("\0", " "), self._language)
        pieces = [piece for sentence in sentences for piece in textwrap.wrap(sentence, _LONGEST_PIECE)]
        return [piece for piece in pieces if any(character.isalnum() for character in piece) and self._knows(piece)]

    def _knows(self, piece: str) -> bool:
        """Whether the voice has a letter for any of `piece`; what espeak spells for it, it has letters for."""
        tokenizer = self._model.tokenizer
        if getattr(tokenizer, "use_phonemes", True):
            return True
        tokens = tokenizer.text_to_ids(piece, language=self._language)
        return any(tokenizer.characters.id_to_char(token).isalnum() for token in tokens)

    @contextmanager
    def _pace(self, speed: float) -> Iterator[dict[str, float]]:
        """Makes the voice keep to `speed` meanwhile; what it yields is to be said with every sentence."""
        if "speed" in signature(self._model.inference).parameters:
            yield {"speed": speed}
            return
        own = getattr(self._model, "length_scale", None)
        if own is None and speed != 1:
            raise EngineError(
                Stage.TTS, f"the voice {self._name} has only one speed", code=ErrorCode.BAD_REQUEST, field="speed"
            )
        if own is None:
            yield {}
            return
        self._model.length_scale = own / speed
        try:
            yield {}
        finally:
            self._model.length_scale = own

    def _say(self, piece: str, speaker: str | None, paced: dict[str, float]) -> npt.NDArray[np.float32]:
        language = self._language if self._tts.is_multi_lingual else None
        try:
            wave = self._tts.tts(piece, speaker=speaker, language=language, split_sentences=False, **paced)
        except _FAULTS as exc:
            raise EngineError(Stage.TTS, f"coqui could not say a sentence: {_summary(exc)}") from exc
        samples = np.trim_zeros(np.asarray(wave, dtype=np.float32), "b")  # Coqui adds half a second of silence
        if not np.isfinite(samples).all():
            raise EngineError(Stage.TTS, f"the voice {self._name} made no sound of a sentence, but not-a-numbers")
        return np.clip(samples, -1, 1)


def load_library() -> tuple[Any, Any]:
    """Coqui's class TTS, and torch."""
    os.environ.update(_OFFLINE)
    logging.getLogger("TTS").setLevel(logging.ERROR)  # it would repeat every text that has a letter it does not know
    torch = import_module("torch")
    for name in ("torchaudio", "torchcodec"):
        # Coqui refuses to be imported where these two are not found, yet only reads recordings with them, to clone
        # voices. The package index has them for CUDA alone, so beside a torch for the CPU they are absent or broken.
        try:
            import_module(name)
        except (ImportError, OSError, RuntimeError):
            stand_in = sys.modules[name] = ModuleType(name)
            stand_in.__spec__ = ModuleSpec(name, None)
    return import_module("TTS.api").TTS, torch


def _load(library: Any, voice: VoiceFiles) -> Any:
    with tempfile.TemporaryDirectory(prefix="edgevoice-") as folder:
        config = Path(folder, "config.json")
        config.write_text(json.dumps(voice.config_here), encoding="utf-8")
        return library(model_path=str(voice.checkpoint), config_path=str(config), progress_bar=False)


def _summary(exc: BaseException) -> str:
    """What went wrong, on one line: torch lists every tensor."""
    return textwrap.shorten(f"{type(exc).__name__}: {exc}", _SUMMARY_CHARS, placeholder=" …")


_: type[TextToSpeech] = Coqui
