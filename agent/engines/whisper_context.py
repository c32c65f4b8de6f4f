"""A model that whisper.cpp has loaded, and its looks at clips, through pywhispercpp's binding.

The binding is used, not its `Model`: that one passes over the library's status, keeps what one call set for all later
ones, and downloads.
"""

from __future__ import annotations

import atexit
import itertools
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agent.contract.terms import Stage
from agent.engines.base import CancelFlag, Segment
from agent.errors import EngineError

__all__ = ["AUTO", "RATE_HZ", "WHOLE", "Asked", "Heard", "WhisperContext"]

AUTO = "auto"
"""In place of a language: the one that it turns out to be."""
RATE_HZ = 16_000
"""Of every clip."""
WHOLE = 0
"""Audio context of a look at 30 s, whatever the clip."""

Samples = npt.NDArray[np.float32]

_LEVEL_ERROR = 4
_DETECTED = re.compile(r"auto-detected language: (\w+) \(p = ([\d.]+)\)")
_GPU = re.compile(r"whisper_backend_init_gpu: using ([A-Za-z]+)(\d*) backend")
_EVERYTHING_IS_DOUBTFUL = 1.0


@dataclass(frozen=True)
class Asked:
    """What a look is to be like."""

    language: str
    """A code that the model knows, or AUTO."""
    cancelled: CancelFlag
    """Asked before each window and at each token."""
    hint: str = ""
    """Words that are likely."""
    audio_context: int = WHOLE
    """How far it goes, in 20 ms."""
    careful: bool = True
    """Whether words that were doubtful are tried again, less predictably."""
    most_tokens: int | None = None
    """It is broken off past so many; a loop may go on for hundreds."""


@dataclass(frozen=True)
class Heard:
    """What came of a look; the texts of the segments still have their blanks."""

    segments: tuple[Segment, ...]
    language: str | None
    language_probability: float | None
    """0 to 1, where the language was AUTO."""
    log_probability: float
    """Mean over the tokens."""
    broken_off: bool
    """Whether there were more tokens than it was to have."""

    @property
    def text(self) -> str:
        """What was heard, in one."""
        return "".join(segment.text for segment in self.segments).strip()


class WhisperContext:
    """One model, loaded; one look at a time."""

    def __init__(
        self, path: Path, *, use_gpu: bool, gpu: int, flash_attn: bool, threads: int, vad_model: Path | None
    ) -> None:
        """EngineError where the library cannot load what `ggml` finds whole. Imports the library."""
        import _pywhispercpp as native  # noqa: PLC0415 - only who takes this engine needs the library

        self._native = native
        self._threads = threads
        self._vad_model = vad_model
        self._log = _Log(native)
        params = native.whisper_context_default_params()
        params.use_gpu, params.gpu_device, params.flash_attn = use_gpu, gpu, flash_attn
        self._context = native.whisper_init_from_file_with_params(str(path), params)
        if errors := self._log.errors:  # the context may be null, and using it would end the process
            raise EngineError(Stage.STT, f"whisper.cpp cannot load {path}: {errors}")
        gpu_used = self._log.search(_GPU)
        self.device = f"{gpu_used[1].lower()}:{gpu_used[2] or 0}" if gpu_used else "cpu"
        """Where it computes."""

    def languages(self, count: int) -> tuple[str, ...]:
        """The codes of whisper's first `count` languages."""
        return tuple(self._native.whisper_lang_str(number) for number in range(count))

    def look(self, samples: Samples, asked: Asked, *, no_speech_threshold: float) -> Heard:
        """What is said in `samples`; nothing where it was cancelled. EngineError where the library fails."""
        if asked.language == AUTO:  # the library finds it out with the audio context of the look before
            self._run(samples[:0], Asked("en", asked.cancelled, audio_context=asked.audio_context), duration_ms=100)
        broken_off = self._run(
            samples,
            asked,
            no_speech_thold=no_speech_threshold,
            vad=self._vad_model is not None,
            vad_model_path=str(self._vad_model or ""),
            **({} if asked.careful else {"temperature_inc": 0.0}),
        )
        detected = self._log.search(_DETECTED)
        logs = np.log(np.maximum(list(self._probabilities()), 1e-9))
        return Heard(
            tuple(segment for segment in self._segments() if segment.text.strip()),
            detected[1] if detected else None if asked.language == AUTO else asked.language,
            float(detected[2]) if detected else None,
            float(logs.mean()) if logs.size else 0.0,
            broken_off,
        )

    def finds_nobody(self, samples: Samples, asked: Asked, *, no_speech_threshold: float) -> bool:
        """Whether it is likelier than `no_speech_threshold` that nobody speaks in `samples`.

        The binding keeps that probability to itself, but the library drops doubtful words where it is high: here, all
        words are doubtful.
        """
        self._run(
            samples,
            asked,
            no_speech_thold=no_speech_threshold,
            logprob_thold=_EVERYTHING_IS_DOUBTFUL,
            temperature_inc=0.0,
            single_segment=True,
            max_tokens=4,
        )
        return bool(self._native.whisper_full_n_segments(self._context) == 0)

    def close(self) -> None:
        """Frees the model."""
        self._native.whisper_free(self._context)
        del self._context

    def _run(self, samples: Samples, asked: Asked, **settings: Any) -> bool:
        """One call of the library, which keeps what it heard until the next; whether it was broken off."""
        tokens = itertools.count()

        def is_enough() -> bool:
            return asked.cancelled() or (asked.most_tokens is not None and next(tokens) > asked.most_tokens)

        native = self._native
        params = native.whisper_full_default_params(native.whisper_sampling_strategy.WHISPER_SAMPLING_GREEDY)
        params.print_progress = False
        params.n_threads = self._threads
        params.audio_ctx = asked.audio_context
        params.language = "" if asked.language == AUTO else asked.language
        if asked.hint:
            params.initial_prompt = asked.hint
        for name, value in settings.items():
            setattr(params, name, value)
        native.assign_abort_callback(params, is_enough)
        native.assign_encoder_begin_callback(params, lambda _: not asked.cancelled())
        self._log.clear()
        status = native.whisper_full(self._context, params, samples, len(samples))
        broken_off = asked.most_tokens is not None and next(tokens) > asked.most_tokens
        if status and not broken_off and not asked.cancelled():
            raise EngineError(Stage.STT, f"whisper.cpp failed: {self._log.errors or f'status {status}'}")
        return broken_off

    def _segments(self) -> Iterator[Segment]:
        native, context = self._native, self._context
        for number in range(native.whisper_full_n_segments(context)):
            text = native.whisper_full_get_segment_text(context, number).decode("utf-8", "replace")
            start = native.whisper_full_get_segment_t0(context, number)
            end = native.whisper_full_get_segment_t1(context, number)
            yield Segment(text, start / 100, end / 100)

    def _probabilities(self) -> Iterator[float]:
        native, context = self._native, self._context
        for number in range(native.whisper_full_n_segments(context)):
            for token in range(native.whisper_full_n_tokens(context, number)):
                yield native.whisper_full_get_token_p(context, number, token)


class _Log:
    """What the library says, kept instead of printed; there is one for the whole process."""

    def __init__(self, native: Any) -> None:
        self._lines: deque[tuple[int, str]] = deque(maxlen=512)
        native.whisper_log_set(lambda level, text: self._lines.append((level, text.strip())))
        atexit.register(native.whisper_log_set, None)  # or the end of the interpreter aborts the process

    @property
    def errors(self) -> str:
        """The lines that are errors, in one."""
        return "; ".join(text for level, text in self._lines if level == _LEVEL_ERROR)

    def search(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The first line that has `pattern`."""
        return next(filter(None, (pattern.search(text) for _, text in self._lines)), None)

    def clear(self) -> None:
        """Forgets what was said so far."""
        self._lines.clear()
