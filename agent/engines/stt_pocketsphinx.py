"""Speech to text with pocketsphinx: English, small, its model inside the package."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from agent.audio import Audio
from agent.contract.errors import ErrorCode
from agent.contract.presence import EngineInfo
from agent.contract.terms import Stage
from agent.engines.base import CancelFlag, EngineOptions, LiveSpeechToText, Transcript, not_installed
from agent.engines.piecewise import Piecewise
from agent.engines.sphinx_decoder import PIECE_BYTES, RATE_HZ, SphinxDecoder
from agent.errors import EngineError

_FIRST_BYTES = 2 * RATE_HZ  # a second: the shortest that tells how loud somebody speaks
_FIRST_DECODER_BYTES = 120 * 2**20
_DECODER_BYTES = 100 * 2**20


class PocketSphinxOptions(EngineOptions):
    """How thoroughly it searches, and how many clips it hears as they arrive."""

    max_states_per_frame: int = Field(default=30_000, ge=100)
    """Sounds considered at once; 3000 is twice as fast and hears a little worse."""
    max_words_per_frame: int = Field(default=-1, ge=-1)
    """Words considered at once; -1 for no limit, 5 goes well with 3000 states."""
    live_sessions: int = Field(default=2, ge=0, le=16)
    """Clips heard at once while they arrive; each takes 100 MB from the moment on that it is needed. 0 for none."""
    live_second_look: bool = False
    """Whether each is looked at once more when it ends: 2 words of 100 fewer are wrong; one of 3 s waits 70 ms more."""


class PocketSphinx:
    """Hears English; everyday sentences clearly spoken."""

    Options: ClassVar[type[EngineOptions]] = PocketSphinxOptions
    one_core: ClassVar[bool] = True

    def __init__(self, options: PocketSphinxOptions, models_dir: Path) -> None:
        self._options = options
        self._decoders = [self._new_decoder()]
        self._live_decoders: list[SphinxDecoder] = []
        self.sessions = options.live_sessions

    @classmethod
    def missing(cls, options: PocketSphinxOptions, models_dir: Path) -> str | None:
        """The package, where it is not installed."""
        if find_spec("pocketsphinx") is None:
            return not_installed("pocketsphinx", extra="embedded")
        return None

    @classmethod
    def needs_bytes(cls, options: PocketSphinxOptions, models_dir: Path) -> int:
        """As measured of the model in the package; a decoder for whole clips, and one for each that may be arriving."""
        return _FIRST_DECODER_BYTES + options.live_sessions * _DECODER_BYTES

    @property
    def info(self) -> EngineInfo:
        """The model inside the package."""
        return EngineInfo(
            name="pocketsphinx",
            model="en-us",
            version=version("pocketsphinx"),
            languages=("en",),
            sample_rate=RATE_HZ,
        )

    def transcribe(self, audio: Audio, *, language: str | None, prompt: str, cancelled: CancelFlag) -> Transcript:
        """The words in `audio`, in small letters; `cancelled` is looked at ten times for each second of it."""
        _check_language(language)
        if cancelled() or not len(audio.samples):
            return Transcript("")
        decoder = self._decoders.pop() if self._decoders else self._new_decoder()
        heard = decoder.hear(audio.resampled(RATE_HZ).pcm16(), cancelled=cancelled)
        self._decoders.append(decoder)  # one that failed is not asked again
        return Transcript(heard, "en")

    def listen(self, *, language: str | None, prompt: str, cancelled: CancelFlag) -> SphinxListening:
        """Begins to hear a clip, with a decoder that is its own until it ends."""
        _check_language(language)
        second_look = self._options.live_second_look
        decoder = self._live_decoders.pop() if self._live_decoders else self._new_decoder(second_look=second_look)
        return SphinxListening(decoder, self._live_decoders.append, cancelled)

    def close(self) -> None:
        """Frees the model."""
        self._decoders.clear()
        self._live_decoders.clear()

    def _new_decoder(self, *, second_look: bool = True) -> SphinxDecoder:
        return SphinxDecoder(
            max_states_per_frame=self._options.max_states_per_frame,
            max_words_per_frame=self._options.max_words_per_frame,
            second_look=second_look,
        )


class SphinxListening:
    """A clip that is heard while it arrives, from its first second on."""

    def __init__(
        self, decoder: SphinxDecoder, give_back: Callable[[SphinxDecoder], None], cancelled: CancelFlag
    ) -> None:
        self._decoder = decoder
        self._give_back = give_back
        self._cancelled = cancelled
        self._clip = Piecewise(RATE_HZ)
        self._pcm = bytearray()
        self._begun = False

    def feed(self, audio: Audio) -> None:
        """Hears the next piece; what is too short to be heard waits for more."""
        self._pcm += self._clip.take(audio).pcm16()
        if not self._begun and len(self._pcm) >= _FIRST_BYTES:
            self._begun = True
            self._decoder.begin(self._cut(_FIRST_BYTES))
        while self._begun and len(self._pcm) >= PIECE_BYTES:
            self._decoder.go_on(self._cut(PIECE_BYTES))

    def finish(self) -> Transcript:
        """The words; a clip of less than a second is heard whole."""
        self._pcm += self._clip.rest().pcm16()
        if not self._begun:
            return Transcript(self._decoder.hear(bytes(self._pcm), cancelled=self._cancelled), "en")
        while self._pcm:
            self._decoder.go_on(self._cut(PIECE_BYTES))
        text = self._decoder.end()
        self._begun = False
        return Transcript(text, "en")

    def close(self) -> None:
        """Lets a decoder go that is in the middle of the clip: a new one takes less time than to end that."""
        if not self._begun:
            self._give_back(self._decoder)

    def _cut(self, size: int) -> bytes:
        piece = bytes(self._pcm[:size])
        del self._pcm[:size]
        return piece


def _check_language(language: str | None) -> None:
    if language not in (None, "auto") and language.partition("-")[0] != "en":
        raise EngineError(
            Stage.STT,
            f"pocketsphinx hears English (en), not {language}",
            code=ErrorCode.BAD_REQUEST,
            field="language",
        )


_: type[LiveSpeechToText] = PocketSphinx
