"""What Triton's vLLM backend takes and gives: the tensors of a model, and those of an answer."""

from __future__ import annotations

from typing import Any

from agent.contract.terms import FinishReason, Stage
from agent.engines.base import Delta
from agent.engines.remote import Pace
from agent.errors import EngineError

WHOLE_ANSWER = "exclude_input_in_output"
REASON = "return_finish_reason"
FLAGS = (WHOLE_ANSWER, REASON, "return_num_input_tokens", "return_num_output_tokens")
"""Inputs that newer backends have: each is sent as true where it is there."""
_INPUTS = {"text_input": "BYTES", "stream": "BOOL", "sampling_parameters": "BYTES"}
_OUTPUTS = {"text_output": "BYTES"}
_UNFINISHED = "None"


def differences(metadata: Any, config: Any) -> list[str]:
    """What of a model is not as the vLLM backend makes it."""
    differs = [*_differences(_INPUTS, metadata.inputs, "input"), *_differences(_OUTPUTS, metadata.outputs, "output")]
    decoupled = config.model_transaction_policy.decoupled
    return differs if decoupled else [*differs, "it is not decoupled"]


class Tally:
    """What the responses to one request tell."""

    def __init__(self, prompt: str, *, reasons: bool) -> None:
        """`prompt`: what the server may repeat in front of the answer; `reasons`: whether it says why it ended."""
        self._prompt = prompt
        self._reasons = reasons
        self._reason = _UNFINISHED
        self._said = ""
        self._prompt_tokens = self._completion_tokens = 0
        self._pace = Pace()

    @property
    def begun(self) -> bool:
        """Whether there were words."""
        return bool(self._said)

    def take(self, result: Any) -> str:
        """The words that are new in `result`."""
        texts = _values(result, "text_output")
        text = texts[0].decode("utf-8", "replace") if texts else ""
        if self._prompt and text.startswith(self._prompt):
            text = text[len(self._prompt) :].removeprefix(self._said)  # old backends repeat the answer so far, too
        self._prompt_tokens = max([self._prompt_tokens, *map(int, _values(result, "num_input_tokens"))])
        self._completion_tokens += sum(map(int, _values(result, "num_output_tokens")))
        self._reason = next((reason.decode() for reason in _values(result, "finish_reason")), self._reason)
        if text:
            self._pace.tick()
            self._said += text
        return text

    def last(self) -> Delta:
        """The end of the answer; EngineError where the server did not finish it."""
        if self._reasons and self._reason not in ("stop", "length"):
            how = "broke the answer off" if self._reason == _UNFINISHED else f"ended the answer: {self._reason}"
            raise EngineError(Stage.LLM, f"Triton {how}")
        return Delta(
            finish_reason=FinishReason.LENGTH if self._reason == "length" else FinishReason.STOP,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            decode_tok_s=self._pace.tok_s(self._completion_tokens),
        )


def _values(result: Any, name: str) -> list[Any]:
    """An output of `result`, flat; empty where it is not there."""
    values = result.as_numpy(name)
    return [] if values is None else list(values.flat)


def _differences(wanted: dict[str, str], offered: Any, kind: str) -> list[str]:
    types = {each.name: each.datatype for each in offered}
    missing = [f"it has no {kind} {name} ({datatype})" for name, datatype in wanted.items() if name not in types]
    other = [
        f"its {kind} {name} is {types[name]}, not {datatype}"
        for name, datatype in wanted.items()
        if name in types and types[name] != datatype
    ]
    return missing + other
