"""Language model with MLC LLM: compiled models on a GPU, whose conversations are batched as they come."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import re
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from agent.contract.errors import ErrorCode
from agent.contract.messages import Message, Sampling
from agent.contract.presence import EngineInfo
from agent.contract.terms import FinishReason, Stage
from agent.engines.base import TELLING_PREFILL_TOKENS, Delta, EngineOptions, LanguageModel
from agent.engines.mlc_options import HEADROOM, MlcOptions, Plan
from agent.engines.mlc_process import constructed, give_up, hush, one_line, say
from agent.engines.prompt import turns
from agent.errors import EngineError, too_long
from agent.model_files.fault import ModelFault
from agent.model_files.mlc import WEIGHT_LISTS, ModelFiles, find_model
from agent.model_files.mlc_config import CONFIG

_FASTEST_DECODE = 2_000.0
_TURN_TOKENS = 16
_TOO_LONG = re.compile(r"has (\d+) tokens in total, *larger than the model input length limit (\d+)")


class Mlc:
    """Answers with a compiled model; its conversations share one engine and its memory."""

    Options: ClassVar[type[EngineOptions]] = MlcOptions

    def __init__(self, options: MlcOptions, models_dir: Path) -> None:
        self._files, plan = _planned(options, models_dir)
        say(f"model folder {self._files.folder}")
        say(f"chat config {self._files.folder / CONFIG}")
        say(f"library {self._files.library or 'none: it is compiled now'}")
        hush()
        self._timeout_s = options.token_timeout_s
        self._numbers = itertools.count(1)
        try:
            self._load(options, plan.engine_config(options))
        except (ImportError, OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError) as exc:
            said = one_line(exc)
            raise EngineError(
                Stage.LLM, f"MLC cannot load {self._files.name}: {said}{_hint(self._files, said)}"
            ) from exc
        self.slots = _usable_slots(self._engine.engine_config)

    def _load(self, options: MlcOptions, fields: dict[str, Any]) -> None:
        import mlc_llm  # noqa: PLC0415 - only who takes this engine needs the library
        import tvm  # noqa: PLC0415
        from mlc_llm.protocol.error_protocol import BadRequestError  # noqa: PLC0415
        from mlc_llm.serve.config import EngineConfig  # noqa: PLC0415

        name, number = options.device_and_number
        device = tvm.device(name, number)
        if not device.exist:
            raise EngineError(Stage.LLM, f"MLC finds no device {name}:{number} here; `edgevoice doctor` tells more")
        self._device = f"{name}:{number}"
        self._refusal: type[ValueError] = BadRequestError
        self._version = str(mlc_llm.__version__)
        self._engine = constructed(
            lambda: mlc_llm.AsyncMLCEngine(
                str(self._files.folder),
                device,
                model_lib=str(self._files.library) if self._files.library else None,
                mode=options.mode,
                engine_config=EngineConfig(**fields),
            )
        )

    @classmethod
    def missing(cls, options: MlcOptions, models_dir: Path) -> str | None:
        """The package, the model's files, or what they were not compiled for."""
        for package in ("mlc_llm", "tvm"):
            if find_spec(package) is None:
                return (
                    f"{package} is not installed, and on no package index; systemd/README.md says where it is to be had"
                )
        try:
            _planned(options, models_dir)
        except EngineError as exc:
            return exc.message
        return None

    @classmethod
    def needs_bytes(cls, options: MlcOptions, models_dir: Path) -> int:
        """Weights, windows and a share for work space."""
        try:
            files, plan = _planned(options, models_dir)
            return plan.needs_bytes(files)
        except (EngineError, ModelFault):
            return 0

    @property
    def info(self) -> EngineInfo:
        """The model and the window that each conversation has."""
        return EngineInfo(
            name="mlc",
            model=self._files.name,
            version=self._version,
            device=self._device,
            context_window=self._engine.max_input_sequence_length,
        )

    def chat(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """The answer in pieces, in the form of the model's own template."""
        return self._answer(self._engine.chat.completions.create, {"messages": turns(messages)}, sampling)

    def complete(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """How `prompt` goes on, as it is; the stop strings of the model's template still end it."""
        return self._answer(self._engine.completions.create, {"prompt": prompt}, sampling)

    async def count(self, asked: Sequence[Message] | str) -> int | None:
        """The tokens of what is said, and as many beside it as the marks of turns can be."""
        texts = [asked] if isinstance(asked, str) else [message.content for message in asked]
        return sum(len(self._engine.tokenizer.encode(text)) + _TURN_TOKENS for text in texts)

    def close(self) -> None:
        """Ends the engine's threads; without that, no process they are in would ever end by itself."""
        threading.excepthook = threading.__excepthook__
        self._engine.terminate()

    async def _answer(
        self, create: Callable[..., Any], asked: dict[str, Any], sampling: Sampling
    ) -> AsyncGenerator[Delta, None]:
        request = {**asked, **self._request(create, sampling)}
        finish = FinishReason.STOP
        stream = None
        try:
            stream = await create(**request)
            while chunk := await self._next(stream):
                for choice in chunk.choices:
                    if text := choice.delta.content if hasattr(choice, "delta") else choice.text:
                        yield Delta(text)
                    if choice.finish_reason == "length":
                        finish = FinishReason.LENGTH
                if chunk.usage:
                    yield self._last(finish, chunk.usage)
            stream = None
        except self._refusal as exc:
            raise _refused(exc) from exc
        except (ValueError, RuntimeError) as exc:
            raise EngineError(Stage.LLM, f"MLC failed: {one_line(exc)}") from exc
        finally:
            if stream is not None:
                await stream.aclose()
                # Closing alone leaves this to the garbage collector, some ticks later; this alone, a reader that waits
                # for ever.
                await self._engine.abort(request["request_id"])

    async def _next(self, stream: AsyncGenerator[Any, None]) -> Any:
        """The next chunk, None after the last. Where none comes the engine is dead, which it does not say."""
        why = f"no token within {self._timeout_s:g} s"
        # Not `wait_for`: up to Python 3.11 it loses a cancel that comes together with a token.
        watchdog = asyncio.get_running_loop().call_later(self._timeout_s, give_up, why)
        try:
            return await anext(stream)
        except StopAsyncIteration:
            return None
        finally:
            watchdog.cancel()

    def _request(self, create: Callable[..., Any], sampling: Sampling) -> dict[str, Any]:
        asked = sampling.model_dump(exclude_none=True)
        if "repetition_penalty" not in inspect.signature(create).parameters:
            penalty = asked.pop("repetition_penalty", 1.0)
            own = self._files.config.repetition_penalty or 1.0
            if penalty not in {1.0, own}:
                raise EngineError(
                    Stage.LLM,
                    f"MLC takes no repetition_penalty with a request, only from {CONFIG}, where it is {own:g};"
                    " frequency_penalty and presence_penalty it takes",
                    code=ErrorCode.BAD_REQUEST,
                    field="params.repetition_penalty",
                )
        return {
            **asked,
            "stop": list(sampling.stop) or None,
            "stream": True,
            "stream_options": {"include_usage": True},
            "request_id": f"edgevoice-{next(self._numbers)}",
        }

    def _last(self, finish: FinishReason, usage: Any) -> Delta:
        if finish is FinishReason.LENGTH and not usage.prompt_tokens:
            window = self._engine.max_input_sequence_length  # a prompt of just this length is not refused
            raise too_long(window, window)
        told = usage.extra or {}
        decode = told.get("decode_tokens_per_s")
        return Delta(
            finish_reason=finish,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            prefill_tok_s=told.get("prefill_tokens_per_s")
            if told.get("prefill_tokens", 0) >= TELLING_PREFILL_TOKENS
            else None,
            # Of conversations that were read while others were written, MLC tells hundreds of thousands.
            decode_tok_s=decode if decode and decode <= _FASTEST_DECODE else None,
        )


def _planned(options: MlcOptions, models_dir: Path) -> tuple[ModelFiles, Plan]:
    """The model, whole, and what it is to take; EngineError: MLC's constructor hangs on what is missing or broken."""
    device, _ = options.device_and_number
    try:
        files = find_model(options.model, options.model_lib, models_dir, device=device, jit=options.jit)
        if fault := next(files.faults(), None):
            raise EngineError(Stage.LLM, fault)
        return files, Plan.of(options, files)
    except ModelFault as exc:
        raise EngineError(Stage.LLM, str(exc)) from exc


def _usable_slots(config: Any) -> int:
    """Conversations that have room at once, each to the end of its window; MLC takes more, and crawls."""
    room = int(config.max_total_sequence_length) // (int(config.max_single_sequence_length) + HEADROOM)
    return max(1, min(int(config.max_num_sequence), room))


def _hint(files: ModelFiles, said: str) -> str:
    """What helps where MLC looks for the list of the weights under its other name."""
    for wanted, there in (WEIGHT_LISTS, WEIGHT_LISTS[::-1]):
        if wanted in said and not (files.folder / wanted).exists():
            return f"; this MLC wants `cp {files.folder / there} {files.folder / wanted}`"
    return ""


def _refused(exc: ValueError) -> EngineError:
    if found := _TOO_LONG.search(str(exc)):
        return too_long(int(found[1]), int(found[2]))
    return EngineError(Stage.LLM, f"MLC refuses: {one_line(exc)}", code=ErrorCode.BAD_REQUEST, field="messages")


_: type[LanguageModel] = Mlc
