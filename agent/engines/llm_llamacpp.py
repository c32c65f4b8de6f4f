"""Language model with llama.cpp, through xllamacpp's prebuilt wheel: any GGUF file, several conversations at once."""

from __future__ import annotations

import asyncio
import secrets
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes.util import find_library
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from agent.contract.messages import Message, Sampling
from agent.contract.presence import EngineInfo
from agent.contract.terms import FinishReason, Stage
from agent.engines.base import (
    TELLING_PREFILL_TOKENS,
    Delta,
    EngineOptions,
    LanguageModel,
    all_cores_but_one,
    not_installed,
)
from agent.engines.llamacpp_listener import Listener
from agent.engines.prompt import turns
from agent.errors import EngineError, too_long
from agent.model_files.fault import ModelFault
from agent.model_files.gguf import check_gguf, find_gguf

_SMALL_MODEL_BYTES = 256 * 2**20
_SLOTS, _SLOTS_OF_SMALL_MODEL = 2, 8
_LEAST_TOKEN_BYTES = 24 * 2**10  # of a conversation, with the smallest model there is
_LIBRARY_BYTES = 128 * 2**20


class LlamaCppOptions(EngineOptions):
    """Which model, and how it runs."""

    model: str = "smollm2-135m"
    """Name of a model in the models folder, or path of a .gguf file."""
    context_window: int = Field(default=2_048, ge=256)
    """Tokens of a conversation and its answer, a slot."""
    slots: int | None = Field(default=None, ge=1, le=64)
    """Conversations at once; each takes memory for a window. Left out, 8 with a small model and 2 with others."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; left out, one for a small model and all cores but one for others."""
    gpu_layers: int = Field(default=0, ge=-1)
    """Layers on the GPU, where the library was built for one; -1 for all."""
    prefill_batch: int = Field(default=128, ge=32, le=4_096)
    """Tokens of a prompt read at a time; a cancel is noticed in between. More is faster on a GPU."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """Where a request names none."""
    repetition_penalty: float = Field(default=1.1, gt=0, le=2)
    """Where a request names none."""

    def slots_for(self, path: Path) -> int:
        """Conversations at once with the model at `path`."""
        return self.slots or (_SLOTS_OF_SMALL_MODEL if _is_small(path) else _SLOTS)


class LlamaCpp:
    """Answers with a GGUF model; each slot has a context window of its own."""

    Options: ClassVar[type[EngineOptions]] = LlamaCppOptions

    def __init__(self, options: LlamaCppOptions, models_dir: Path) -> None:
        path = _checked(options, models_dir)
        self._options = options
        self.slots = options.slots_for(path)
        key = secrets.token_hex(16)
        self._server = _serve(path, options, key)
        self._listener = Listener(self._server.listening_address, key)
        self._window = self._listener.window()
        self._threads = ThreadPoolExecutor(self.slots, "llamacpp")

    @classmethod
    def missing(cls, options: LlamaCppOptions, models_dir: Path) -> str | None:
        """The package, the library it needs or the model file, where it is not there."""
        if find_spec("xllamacpp") is None:
            return not_installed("xllamacpp", extra="embedded")
        if sys.platform == "linux" and find_library("gomp") is None:  # its wheel does not bring it along
            return "the OpenMP library libgomp.so.1 is not installed; on Debian, `apt-get install libgomp1` brings it"
        try:
            find_gguf(options.model, models_dir)
        except ModelFault as exc:
            return str(exc)
        return None

    @classmethod
    def needs_bytes(cls, options: LlamaCppOptions, models_dir: Path) -> int:
        """The file, what windows and work space take at the least, and the library."""
        try:
            path = find_gguf(options.model, models_dir)
        except ModelFault:
            return 0
        size = path.stat().st_size
        windows = options.slots_for(path) * options.context_window * _LEAST_TOKEN_BYTES
        return size + max(round(0.3 * size), windows) + _LIBRARY_BYTES

    @property
    def info(self) -> EngineInfo:
        """The model and the window that each slot really has."""
        model = Path(self._options.model).stem if self._options.model.endswith(".gguf") else self._options.model
        return EngineInfo(name="llamacpp", model=model, version=version("xllamacpp"), context_window=self._window)

    def chat(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """The answer in pieces; ends, at the latest, when the slot's window is full."""
        return self._answer(self._server.handle_chat_completions, {"messages": turns(messages)}, sampling)

    def complete(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """How `prompt` goes on, as it is."""
        return self._answer(self._server.handle_completions, {"prompt": prompt}, sampling)

    async def _answer(
        self, handle: Callable[..., Any], asked: dict[str, Any], sampling: Sampling
    ) -> AsyncGenerator[Delta, None]:
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        stopped = threading.Event()

        def take(chunk: dict[str, Any]) -> bool:
            loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            return stopped.is_set()

        request = {**asked, **self._request(sampling)}
        work = loop.run_in_executor(self._threads, handle, request, take)
        work.add_done_callback(lambda _: chunks.put_nowait(None))
        try:
            finish = FinishReason.STOP
            while chunk := await chunks.get():
                if error := chunk.get("error"):
                    raise _failure(error)
                for choice in chunk["choices"]:
                    if text := choice["delta"].get("content") if "delta" in choice else choice["text"]:
                        yield Delta(text)
                    if choice["finish_reason"] == "length":
                        finish = FinishReason.LENGTH
                if usage := chunk.get("usage"):
                    yield _last(finish, usage, chunk.get("timings", {}))
            await work
        except RuntimeError as exc:
            raise EngineError(Stage.LLM, f"llama.cpp failed: {exc}") from exc
        finally:
            stopped.set()
            await asyncio.wait([work])  # the slot is free only then

    async def count(self, asked: Sequence[Message] | str) -> int | None:
        """The tokens of the prompt, or of the one that the model's own template makes of the conversation."""
        given = asked if isinstance(asked, str) else turns(asked)
        return await asyncio.to_thread(self._listener.count, given)

    def close(self) -> None:
        """Nothing: freeing llama.cpp's server may hang for ever, so the process's end does it."""

    def _request(self, sampling: Sampling) -> dict[str, Any]:
        asked = {
            "temperature": self._options.temperature,
            "repetition_penalty": self._options.repetition_penalty,
            **sampling.model_dump(exclude_none=True),
        }
        return {
            **asked,
            "repeat_penalty": asked.pop("repetition_penalty"),
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,  # so that a cancel is noticed while the prompt is still being read
        }


def _checked(options: LlamaCppOptions, models_dir: Path) -> Path:
    """The model's file; EngineError where it is not there, or is no model."""
    try:
        path = find_gguf(options.model, models_dir)
        check_gguf(path)
    except ModelFault as exc:
        raise EngineError(Stage.LLM, str(exc)) from exc
    return path


def _is_small(path: Path) -> bool:
    return path.stat().st_size < _SMALL_MODEL_BYTES


def _serve(path: Path, options: LlamaCppOptions, key: str) -> Any:
    import xllamacpp  # noqa: PLC0415 - only who takes this engine needs the library

    threads = options.threads or (1 if _is_small(path) else all_cores_but_one())
    slots = options.slots_for(path)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_parallel = slots
    params.n_ctx = slots * options.context_window  # divided among the slots
    params.n_batch = params.n_ubatch = options.prefill_batch
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_threads_http = 1
    params.n_gpu_layers = options.gpu_layers
    params.cache_ram_mib = 0  # its default keeps up to 8 GiB of old conversations
    params.fit_params = params.warmup = False
    params.verbosity = -1
    params.api_keys = [key]  # its listener cannot be turned off, so nobody else gets in
    try:
        return xllamacpp.Server(params)
    except RuntimeError as exc:
        raise EngineError(
            Stage.LLM, f"llama.cpp cannot load {path}, which may be cut off or too new for it: {exc}"
        ) from exc


def _last(finish: FinishReason, usage: dict[str, Any], timings: dict[str, Any]) -> Delta:
    prefill = timings.get("prompt_per_second") if timings.get("prompt_n", 0) >= TELLING_PREFILL_TOKENS else None
    return Delta(
        finish_reason=finish,
        prompt_tokens=usage["prompt_tokens"],
        completion_tokens=usage["completion_tokens"],
        prefill_tok_s=prefill,
        decode_tok_s=timings.get("predicted_per_second"),
    )


def _failure(error: dict[str, Any]) -> EngineError:
    if error.get("type") == "exceed_context_size_error":
        return too_long(error["n_prompt_tokens"], error["n_ctx"])
    return EngineError(Stage.LLM, f"llama.cpp failed: {error.get('message', 'no reason given')}")


_: type[LanguageModel] = LlamaCpp
