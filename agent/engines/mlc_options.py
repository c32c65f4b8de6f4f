"""The options of `llm: mlc`, and what comes of them for a model: how long, how many, how much at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from typing_extensions import Self

from agent.contract.terms import Stage
from agent.engines.base import EngineOptions
from agent.errors import EngineError
from agent.model_files.mlc import DEVICES, ModelFiles

HEADROOM = 176
"""Tokens that must stay free a conversation: with less, MLC reads the conversation anew for every token it writes."""

_WINDOW = 4_096
_CHUNK = 512
_LOCAL_SLOTS = 4
_RUNTIME_BYTES = 512 * 2**20
_DEV = Path("/dev")
_NVIDIA = ("nvidia[0-9]*", "nvhost*", "nvgpu*")


class MlcOptions(EngineOptions):
    """Which model, where it runs, and how much of it."""

    model: str = "Mistral-7B-Instruct-v0.3-q4f16_1-MLC"
    """Name of a model in the models folder, path of its folder, or HF://user/repository."""
    model_lib: str | None = None
    """Path of the compiled library; left out, it is looked for beside the model."""
    device: str = Field(default="auto", pattern=rf"^(auto|({'|'.join(DEVICES)})(:\d{{1,2}})?)$")
    """`name` or `name:number` (cuda, metal, vulkan, rocm, opencl, cpu); `auto` takes an NVIDIA GPU, or else the CPU."""
    mode: Literal["local", "interactive", "server"] = "local"
    """How many conversations at once, where `max_num_sequence` is left out: up to 4, 1, or what memory holds."""
    context_window: int | None = Field(default=None, ge=256)
    """Tokens of a conversation and its answer; left out, what the model was compiled for, at most 4096."""
    max_num_sequence: int | None = Field(default=None, ge=1, le=256)
    """Conversations at once, no more than the model was compiled for; left out, as `mode` says."""
    max_total_sequence_length: int | None = Field(default=None, ge=512)
    """Tokens that all conversations share; left out, a window for each, in mode `server` what memory holds."""
    prefill_chunk_size: int | None = Field(default=None, ge=16)
    """Tokens of a prompt read at a time; a cancel is noticed in between. Left out, as compiled, at most 512."""
    gpu_memory_utilization: float | None = Field(default=None, gt=0, lt=1)
    """Share of the device's memory it may take; left out, MLC's own 0.85. A Jetson's GPU counts all of its memory."""
    prefix_cache_mode: Literal["radix", "disable"] = "radix"
    """`radix` remembers conversations, so that of the next turn only what is new is read."""
    jit: bool = False
    """Let MLC compile a library that is missing, which takes minutes: `load_timeout_s` must allow for them."""
    opt: str | None = None
    """Optimisations of that compilation, as `mlc_llm compile --opt` takes them."""
    tensor_parallel_shards: int | None = Field(default=None, ge=1, le=16)
    """GPUs over which a model is spread that is compiled here."""
    token_timeout_s: float = Field(default=60.0, gt=0)
    """Longest wait for the next token [s]; past it the engine is given up, and its process started anew."""

    @property
    def device_and_number(self) -> tuple[str, int]:
        """What `device` means here; loads nothing, where MLC's own `auto` takes half a minute."""
        name, _, number = self.device.partition(":")
        if name == "auto":
            name = "cuda" if any(next(_DEV.glob(pattern), None) for pattern in _NVIDIA) else "cpu"
        return name, int(number or 0)


@dataclass(frozen=True)
class Plan:
    """How much of a model the engine is told to take; None leaves it to MLC."""

    window: int
    """Tokens of a conversation and its answer."""
    slots: int | None
    """Conversations at once."""
    total: int | None
    """Tokens of all of them, headroom included."""
    chunk: int | None
    """Tokens of a prompt read at a time."""

    @classmethod
    def of(cls, options: MlcOptions, files: ModelFiles) -> Self:
        """What `options` come to. EngineError where they ask for what MLC takes, and later dies of."""
        limits = files.limits
        if files.library:
            _within("max_num_sequence", options.max_num_sequence, limits.batch)
            _within("prefill_chunk_size", options.prefill_chunk_size, limits.chunk)
        window = _least(options.context_window or _WINDOW, limits.window)
        by_mode = {"local": _least(_LOCAL_SLOTS, limits.batch), "interactive": 1, "server": limits.batch}
        slots = options.max_num_sequence or by_mode[options.mode]
        total = options.max_total_sequence_length
        if total is None:
            as_memory_allows = options.mode == "server" and slots != 1
            total = None if as_memory_allows or slots is None else slots * (window + HEADROOM)
        else:
            window = min(window, total - HEADROOM)
            slots = min(slots or total, total // (window + HEADROOM))
        return cls(window, slots, total, options.prefill_chunk_size or _least(_CHUNK, limits.chunk, window))

    def engine_config(self, options: MlcOptions) -> dict[str, Any]:
        """The fields of MLC's EngineConfig that it sets."""
        fields = {
            **options.model_dump(include={"gpu_memory_utilization", "prefix_cache_mode"}),
            **(options.model_dump(include={"opt", "tensor_parallel_shards"}) if options.jit else {}),
            "max_num_sequence": self.slots,
            "max_single_sequence_length": self.window,
            "max_total_sequence_length": self.total,
            "prefill_chunk_size": self.chunk,
            "verbose": False,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def needs_bytes(self, files: ModelFiles) -> int:
        """Weights, conversations, work space and MLC itself; of mode `server`, which takes what is there, the least."""
        weights = sum(size for _, size in files.weights)
        conversations = (self.total or self.window + HEADROOM) * files.config.kv_bytes_per_token
        return round(1.1 * weights) + conversations + _RUNTIME_BYTES


def _least(*numbers: int | None) -> int:
    return min(number for number in numbers if number is not None)


def _within(name: str, asked: int | None, compiled: int | None) -> None:
    if asked and compiled and asked > compiled:
        raise EngineError(
            Stage.LLM,
            f"{name} {asked} is more than the {compiled} that the model was compiled for",
            limit=compiled,
            actual=asked,
        )
