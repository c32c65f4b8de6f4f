"""What servers of OpenAI's protocol say, each in its own dialect: the chunks of an answer, and their models."""

from __future__ import annotations

from typing import Any

from agent.contract.terms import FinishReason, Stage
from agent.engines.base import TELLING_PREFILL_TOKENS, Delta
from agent.engines.remote import Pace
from agent.errors import EngineError

_CUT_SHORT = ("content_filter", "abort", "error")


class Tally:
    """What the chunks of one answer tell beside its words."""

    def __init__(self) -> None:
        self.empty = True
        """Nothing came at all."""
        self._reason: str | None = None
        self._usage: Any = None
        self._timings: dict[str, Any] = {}
        self._pace = Pace()

    def take(self, chunk: Any) -> str:
        """The words of `chunk`; it is the client's, and may lack any field."""
        self.empty = False
        self._usage = getattr(chunk, "usage", None) or self._usage
        self._timings = getattr(chunk, "timings", None) or self._timings
        for choice in getattr(chunk, "choices", None) or ():
            self._reason = getattr(choice, "finish_reason", None) or self._reason
            delta = getattr(choice, "delta", None)
            text = getattr(delta, "content", None) or getattr(choice, "text", None)
            if text:
                self._pace.tick()
                return str(text)
        return ""

    def last(self) -> Delta:
        """The end of the answer; EngineError where the server did not finish it."""
        if self._reason is None:
            raise EngineError(Stage.LLM, "the server broke the answer off")
        if self._reason in _CUT_SHORT:
            raise EngineError(Stage.LLM, f"the server ended the answer: {self._reason}", reason=self._reason)
        completion_tokens = getattr(self._usage, "completion_tokens", None) or 0
        return Delta(
            finish_reason=FinishReason.LENGTH if self._reason == "length" else FinishReason.STOP,
            prompt_tokens=getattr(self._usage, "prompt_tokens", None) or 0,
            completion_tokens=completion_tokens,
            prefill_tok_s=self._prefill_tok_s(),
            decode_tok_s=self._timings.get("predicted_per_second") or self._pace.tok_s(completion_tokens),
        )

    def _prefill_tok_s(self) -> float | None:
        if self._timings:  # llama.cpp's
            telling = self._timings.get("prompt_n", 0) >= TELLING_PREFILL_TOKENS
            return self._timings.get("prompt_per_second") if telling else None
        extra = getattr(self._usage, "extra", None) or {}  # MLC LLM's; its decode rate counts waiting requests wrongly
        return extra.get("prefill_tokens_per_s")


def window_of(model: dict[str, Any]) -> int | None:
    """The tokens of a conversation, from a server's entry for `model`: vLLM and llama.cpp tell."""
    meta = model.get("meta")
    window = model.get("max_model_len") or (meta.get("n_ctx") if isinstance(meta, dict) else None)
    return window if isinstance(window, int) else None
