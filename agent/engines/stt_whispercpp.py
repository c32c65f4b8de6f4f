"""Speech to text with whisper.cpp, through pywhispercpp: any ggml model, resident, on a CPU or a GPU."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import Self

from agent.audio import SILENCE_DBFS, Audio
from agent.contract.errors import ErrorCode
from agent.contract.presence import EngineInfo
from agent.contract.terms import Stage
from agent.engines.at_pauses import AtPauses
from agent.engines.base import (
    CancelFlag,
    EngineOptions,
    LiveSpeechToText,
    Segment,
    Transcript,
    all_cores_but_one,
    not_installed,
)
from agent.engines.phantoms import goes_in_circles, is_phantom
from agent.engines.whisper_context import AUTO, RATE_HZ, WHOLE, Asked, Heard, WhisperContext
from agent.errors import EngineError
from agent.model_files.fault import ModelFault
from agent.model_files.ggml import WhisperModel, check_vad
from agent.model_files.whisper import find_whisper, whisper_name

_SHORTEST_S = 0.2  # the library passes over what is not longer than 100 ms
_WHOLE_CONTEXT, _CONTEXT_PER_S, _MARGIN, _STEP = 1_500, 50, 128, 64
_LEAST_CONTEXT, _MIDDLE_CONTEXT = 256, 768
_TOKENS_PER_S, _MORE_TOKENS = 12, 32  # twice as fast as people speak
_LONGEST_HINT = 1_024  # its last 223 tokens count, and one word of many thousand letters would end the process
_DOUBTFUL_LOG_PROBABILITY = -1.0
_NEARLY_SILENT_DBFS = SILENCE_DBFS + 12
_LIBRARY_BYTES = 256 * 2**20


class WhisperCppOptions(EngineOptions):
    """Which model, and how it listens."""

    model: str = "base.en"
    """Name of a model in the models folder, such as `base.en` or `small`, or path of a .bin file."""
    language: str = AUTO
    """Language where a request names none, such as `en`; `auto` finds out, which takes one more look at the clip."""
    prompt: str = ""
    """Words that are likely in every clip; those of a request come after them."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; left out, all cores but one."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where it computes; `auto` takes a GPU where pywhispercpp was built for one."""
    gpu: int = Field(default=0, ge=0)
    """Which GPU, counted from 0."""
    fit_audio_context: bool = True
    """Look at a clip only as far as it goes, not at 30 s of it, and farther where the text comes out doubtful."""
    flash_attn: bool = False
    """Less work for 30 s; not together with `fit_audio_context`, where a clip would be mixed up with the one before."""
    skip_silence: bool = True
    """Hear nothing, and do no work, in a clip that is silent throughout."""
    no_speech_threshold: float = Field(default=0.6, ge=0, le=1)
    """Probability past which nobody is taken to speak, where the words are doubtful or known phantoms; 1 for never."""
    drop_phantoms: bool = True
    """Drop "Thanks for watching!", "[BLANK_AUDIO]" and the like where it is nearly silent or nobody seems to speak."""
    vad_model: Path | None = None
    """Path of a Silero VAD model in ggml format; with one, only stretches of speech are listened to."""
    live_sessions: int = Field(default=2, ge=0, le=16)
    """Clips heard at each pause while they arrive, so that the words are there once the end is found; 0 for none."""

    @model_validator(mode="after")
    def _keep_clips_apart(self) -> Self:
        if self.flash_attn and self.fit_audio_context:
            raise ValueError("flash_attn goes only with fit_audio_context = false")
        return self


class WhisperCpp:
    """Hears English, or whatever else its model hears."""

    Options: ClassVar[type[EngineOptions]] = WhisperCppOptions
    one_core: ClassVar[bool] = False

    def __init__(self, options: WhisperCppOptions, models_dir: Path) -> None:
        path, model = _whole(options, models_dir)
        self._options = options
        self.sessions = options.live_sessions
        self._context = WhisperContext(
            path,
            use_gpu=options.device != "cpu",
            gpu=options.gpu,
            flash_attn=options.flash_attn,
            threads=options.threads or all_cores_but_one(),
            vad_model=options.vad_model,
        )
        if options.device == "gpu" and self._context.device == "cpu":
            raise EngineError(Stage.STT, "whisper.cpp finds no GPU; build pywhispercpp for it, or set device to cpu")
        self._languages = self._context.languages(model.language_count)
        self._language(None)  # one that the model does not know is said now
        self._warm_up()

    @classmethod
    def missing(cls, options: WhisperCppOptions, models_dir: Path) -> str | None:
        """The package, or a whole model file, where it is not there."""
        if find_spec("_pywhispercpp") is None:
            return not_installed("pywhispercpp", extra="whispercpp")
        try:
            _whole(options, models_dir)
        except EngineError as exc:
            return exc.message
        return None

    @classmethod
    def needs_bytes(cls, options: WhisperCppOptions, models_dir: Path) -> int:
        """The file, and what whole clips with second tries were measured to take beside it."""
        try:
            path, _ = find_whisper(options.model, models_dir)
        except ModelFault:
            return 0
        return round(1.5 * path.stat().st_size) + _LIBRARY_BYTES

    @property
    def info(self) -> EngineInfo:
        """The model, and where it computes."""
        return EngineInfo(
            name="whispercpp",
            model=whisper_name(self._options.model),
            version=version("pywhispercpp"),
            languages=self._languages,
            sample_rate=RATE_HZ,
            device=self._context.device,
        )

    def transcribe(self, audio: Audio, *, language: str | None, prompt: str, cancelled: CancelFlag) -> Transcript:
        """What is said in `audio`; a cancel is noticed before and after each look at it, and at every token."""
        asked = Asked(self._language(language), cancelled, self._hint(prompt))
        if cancelled() or not len(audio.samples) or (self._options.skip_silence and audio.is_silent):
            return Transcript("")
        clip = _padded(audio.resampled(RATE_HZ))
        heard = self._hear(clip, asked)
        said = tuple(segment for segment in heard.segments if not self._is_made_up(segment, clip, heard, asked))
        if cancelled():
            return Transcript("")
        return Transcript(
            replace(heard, segments=said).text,
            heard.language,
            heard.language_probability,
            tuple(_within(segment, audio.duration_s) for segment in said),
        )

    def listen(self, *, language: str | None, prompt: str, cancelled: CancelFlag) -> AtPauses:
        """Begins to hear a clip, all of it anew at each pause."""
        self._language(language)  # one that the model does not know is said now
        return AtPauses(partial(self.transcribe, language=language, prompt=prompt, cancelled=cancelled))

    def close(self) -> None:
        """Frees the model."""
        self._context.close()

    def _warm_up(self) -> None:
        """Pays here for what the library puts off, for a silent clip would not: memory, kernels, the VAD model."""
        hush = _padded(Audio(np.zeros(0, np.float32), RATE_HZ))
        asked = Asked(self._languages[0], lambda: False, audio_context=self._fitted(hush), careful=False)
        self._context.finds_nobody(hush.samples, asked, no_speech_threshold=self._options.no_speech_threshold)
        self._look(hush, asked)

    def _hear(self, clip: Audio, asked: Asked) -> Heard:
        """Quick looks, each farther than the one before, until one is not doubtful; at last a careful one at it all."""
        most_tokens = round(_TOKENS_PER_S * clip.duration_s) + _MORE_TOKENS
        for context in self._contexts(clip):
            heard = self._look(clip, replace(asked, audio_context=context, careful=False, most_tokens=most_tokens))
            if asked.cancelled() or not _is_doubtful(heard):
                return heard
        return self._look(clip, asked)

    def _contexts(self, clip: Audio) -> list[int]:
        """The audio contexts for quick looks at `clip`."""
        fitted = self._fitted(clip)
        if fitted == WHOLE:
            return []
        return [fitted] if 3 * fitted > 2 * _MIDDLE_CONTEXT else [fitted, _MIDDLE_CONTEXT]

    def _look(self, clip: Audio, asked: Asked) -> Heard:
        return self._context.look(clip.samples, asked, no_speech_threshold=self._options.no_speech_threshold)

    def _is_made_up(self, segment: Segment, clip: Audio, heard: Heard, asked: Asked) -> bool:
        if not self._options.drop_phantoms or not is_phantom(segment.text):
            return False
        first, last = (round(max(0.0, time_s) * RATE_HZ) for time_s in (segment.start_s, segment.end_s))
        stretch = _padded(Audio(clip.samples[first:last], RATE_HZ))
        if stretch.level_dbfs < _NEARLY_SILENT_DBFS:
            return True
        bare = Asked(heard.language or AUTO, asked.cancelled, audio_context=self._fitted(stretch))
        threshold = self._options.no_speech_threshold
        return self._context.finds_nobody(stretch.samples, bare, no_speech_threshold=threshold)

    def _fitted(self, clip: Audio) -> int:
        """The audio context that `clip` needs; with less than that, the decoder is often caught in a loop."""
        needed = max(_LEAST_CONTEXT, math.ceil((_CONTEXT_PER_S * clip.duration_s + _MARGIN) / _STEP) * _STEP)
        return needed if self._options.fit_audio_context and needed < _WHOLE_CONTEXT else WHOLE

    def _language(self, asked: str | None) -> str:
        """The language to listen for; EngineError(bad_request) where the model does not know it."""
        wanted = asked or self._options.language
        if wanted == AUTO:
            return AUTO if len(self._languages) > 1 else self._languages[0]
        code = wanted.replace("_", "-").partition("-")[0].lower()
        if code in self._languages:
            return code
        known = "en" if len(self._languages) == 1 else f"{len(self._languages)} languages"
        raise EngineError(
            Stage.STT,
            f"the model {whisper_name(self._options.model)} hears {known}, not {wanted}",
            code=ErrorCode.BAD_REQUEST,
            field="language",
        )

    def _hint(self, prompt: str) -> str:
        return f"{self._options.prompt} {prompt}".strip()[-_LONGEST_HINT:]


def _whole(options: WhisperCppOptions, models_dir: Path) -> tuple[Path, WhisperModel]:
    """The model's file, and what is in it; EngineError where it is not there, or is no whole model."""
    try:
        found = find_whisper(options.model, models_dir)
        if options.vad_model:
            check_vad(options.vad_model)
    except ModelFault as exc:
        raise EngineError(Stage.STT, str(exc)) from exc
    return found


def _padded(clip: Audio) -> Audio:
    short = max(0, round(_SHORTEST_S * RATE_HZ) - len(clip.samples))
    return Audio(np.pad(clip.samples, (0, short)), RATE_HZ) if short else clip


def _is_doubtful(heard: Heard) -> bool:
    return heard.broken_off or heard.log_probability < _DOUBTFUL_LOG_PROBABILITY or goes_in_circles(heard.text)


def _within(segment: Segment, duration_s: float) -> Segment:
    """The segment as it is told: of whole words, and no longer than the clip."""
    start_s = min(max(0.0, segment.start_s), duration_s)
    return Segment(segment.text.strip(), start_s, min(max(start_s, segment.end_s), duration_s))


_: type[LiveSpeechToText] = WhisperCpp
