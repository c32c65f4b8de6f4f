"""Speech to text with pocketsphinx: English, small, its model inside the package."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from agent.audio import Audio
from agent.contract.errors import ErrorCode
from agent.contract.presence import EngineInfo
from agent.contract.terms import Stage
from agent.engines.base import CancelFlag, EngineOptions, SpeechToText, Transcript, not_installed
from agent.errors import EngineError

_RATE_HZ = 16_000


class PocketSphinxOptions(EngineOptions):
    """How thoroughly it searches."""

    max_states_per_frame: int = Field(default=30_000, ge=100)
    """Sounds considered at once; 3000 is twice as fast and hears a little worse."""
    max_words_per_frame: int = Field(default=-1, ge=-1)
    """Words considered at once; -1 for no limit, 5 goes well with 3000 states."""


class PocketSphinx:
    """Hears English; everyday sentences clearly spoken."""

    Options: ClassVar[type[EngineOptions]] = PocketSphinxOptions

    def __init__(self, options: PocketSphinxOptions, models_dir: Path) -> None:
        from pocketsphinx import Decoder  # noqa: PLC0415 - only who takes this engine needs the library

        try:
            self._decoder = Decoder(
                loglevel="FATAL",
                samprate=_RATE_HZ,
                maxhmmpf=options.max_states_per_frame,
                maxwpf=options.max_words_per_frame,
            )
        except (RuntimeError, ValueError) as exc:
            raise EngineError(Stage.STT, f"pocketsphinx cannot load: {exc}") from exc

    @classmethod
    def missing(cls, options: PocketSphinxOptions, models_dir: Path) -> str | None:
        """The package, where it is not installed."""
        if find_spec("pocketsphinx") is None:
            return not_installed("pocketsphinx", extra="embedded")
        return None

    @classmethod
    def needs_bytes(cls, options: PocketSphinxOptions, models_dir: Path) -> int:
        """As measured of the model in the package."""
        return 120 * 2**20

    @property
    def info(self) -> EngineInfo:
        """The model inside the package."""
        return EngineInfo(
            name="pocketsphinx",
            model="en-us",
            version=version("pocketsphinx"),
            languages=("en",),
            sample_rate=_RATE_HZ,
        )

    def transcribe(self, audio: Audio, *, language: str | None, prompt: str, cancelled: CancelFlag) -> Transcript:
        """The words in `audio`, in small letters. One native call: `cancelled` is looked at only before it."""
        if language not in (None, "auto") and language.partition("-")[0] != "en":
            raise EngineError(
                Stage.STT,
                f"pocketsphinx hears English (en), not {language}",
                code=ErrorCode.BAD_REQUEST,
                field="language",
            )
        pcm = audio.resampled(_RATE_HZ).pcm16()
        if not pcm or cancelled():
            return Transcript("")
        try:
            self._decode(pcm)
        except (RuntimeError, IndexError) as exc:
            raise EngineError(Stage.STT, f"pocketsphinx failed: {exc}") from exc
        heard = self._decoder.hyp()
        return Transcript(heard.hypstr if heard else "", "en")

    def close(self) -> None:
        """Frees the model."""
        del self._decoder

    def _decode(self, pcm: bytes) -> None:
        self._decoder.reinit_feat()  # or the loudness of the last clip colours this one
        self._decoder.start_utt()
        try:
            self._decoder.process_raw(pcm, no_search=False, full_utt=True)
        finally:
            self._decoder.end_utt()


_: type[SpeechToText] = PocketSphinx
