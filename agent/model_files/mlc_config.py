"""What an MLC model says of itself: in its mlc-chat-config.json, and inside its library."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import Self

from agent.contract.wire import first_fault
from agent.model_files.fault import ModelFault

CONFIG = "mlc-chat-config.json"

_LIMITS = ("context_window_size", "prefill_chunk_size", "max_batch_size")
_SAID = re.compile(rb'"(context_window_size|prefill_chunk_size|max_batch_size)": ?(-?\d+)')


class ChatConfig(BaseModel):
    """What is read of a model's mlc-chat-config.json."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    quantization: str = ""
    """How the weights are stored: q4f16_1, q0f32, …"""
    context_window_size: int = -1
    """Tokens of a conversation and its answer; -1 where the window slides."""
    prefill_chunk_size: int = -1
    """Tokens of a prompt that are read at a time; -1 where the file does not tell."""
    repetition_penalty: float | None = None
    """Above 1: repetition is less likely."""
    max_gen_len: int | None = None
    """Longest answer [tokens]; where somebody wrote one into the file."""
    conv_template: Any = None
    """The form of a conversation; in older files, its name."""
    tokenizer_files: tuple[str, ...] = ()
    """Files of the tokenizer."""
    architecture: dict[str, Any] = Field(default_factory=dict, alias="model_config")
    """The model's own configuration; empty in files of an MLC from before 2024."""

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The configuration in `folder`. ModelFault where it cannot be read."""
        path = folder / CONFIG
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as exc:
            raise ModelFault(f"cannot read {path}: {exc.strerror}") from exc
        except ValidationError as exc:
            field, message = first_fault(exc)
            raise ModelFault(f"cannot read {path}: {field or 'all'}: {message}") from exc

    @property
    def kv_bytes_per_token(self) -> int:
        """Memory that a token of a conversation takes; 0 where the file does not tell."""
        layers = self._number("num_hidden_layers", "n_layer")
        heads = self._number("num_attention_heads", "n_head")
        width = self._number("head_dim") or self._number("hidden_size", "n_embd") // (heads or 1)
        element_bytes = 4 if "f32" in self.quantization else 2
        return 2 * element_bytes * layers * width * (self._number("num_key_value_heads") or heads)

    @property
    def template_name(self) -> str | None:
        """The name of the form of a conversation; None where the file does not tell."""
        form = self.conv_template
        name = form.get("name") if isinstance(form, dict) else form
        return name if isinstance(name, str) else None

    @property
    def end_tokens(self) -> frozenset[int] | None:
        """The tokens at which the model ends; None where the file does not tell."""
        form = self.conv_template
        tokens = form.get("stop_token_ids") if isinstance(form, dict) else None
        return frozenset(map(int, tokens)) if isinstance(tokens, list) else None

    def _number(self, *names: str) -> int:
        return next((value for name in names if isinstance(value := self.architecture.get(name), int)), 0)


@dataclass(frozen=True)
class Limits:
    """What a model was compiled for; None where nobody tells."""

    window: int | None
    """Tokens of a conversation and its answer."""
    chunk: int | None
    """Tokens of a prompt read at a time."""
    batch: int | None
    """Conversations at once."""

    @classmethod
    def of(cls, config: ChatConfig, library: Path | None) -> Self:
        """The narrower of what configuration and library say: the compiler may have been told other limits."""
        told = [config.model_dump(), config.architecture, dict(_inside(library)) if library else {}]
        known = ([value for said in told if isinstance(value := said.get(name), int) and value > 0] for name in _LIMITS)
        return cls(*(min(values, default=None) for values in known))


def _inside(library: Path) -> Iterator[tuple[str, int]]:
    """The limits in the description of itself, a JSON text, that MLC compiles into a library."""
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield from ((found[1].decode(), int(found[2])) for found in _SAID.finditer(content))
