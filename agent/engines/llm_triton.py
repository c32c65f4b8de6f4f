"""Language model behind Triton's vLLM backend, over gRPC; Triton's OpenAI frontend is for the leaf `openai`."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import closing
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from agent.contract.errors import ErrorCode
from agent.contract.messages import Message, Sampling
from agent.contract.presence import EngineInfo
from agent.contract.terms import Stage
from agent.engines.base import UNREACHABLE, Delta, EngineOptions, LanguageModel, not_installed
from agent.engines.remote import overflow
from agent.engines.triton_wire import FLAGS, REASON, WHOLE_ANSWER, Tally, differences
from agent.errors import EngineError

_LIBRARY_BYTES = 80 * 2**20
_READY = "READY"
_CODES = {
    "UNAVAILABLE": ErrorCode.MODEL_NOT_READY,
    "DEADLINE_EXCEEDED": ErrorCode.MODEL_NOT_READY,
    "NOT_FOUND": ErrorCode.NOT_FOUND,
    "RESOURCE_EXHAUSTED": ErrorCode.BUSY,
}
_FOR_GOOD = ("INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED")


class TritonOptions(EngineOptions):
    """Which server, which of its models, and how it is asked."""

    url: str | None = Field(default=None, pattern=r"^[^/\s]+:\d+$")
    """Host and gRPC port, as in `127.0.0.1:8001`."""
    model: str | None = None
    """A model of its repository; left out, the one that is ready, if there is just one."""
    slots: int = Field(default=8, ge=1, le=256)
    """Conversations at once."""
    context_window: int | None = Field(default=None, ge=1)
    """Tokens of a conversation and its answer: the `max_model_len` of its `model.json`. Triton does not tell."""
    connect_timeout_s: float = Field(default=5.0, gt=0)
    """Longest time for the server to say what it has [s]."""
    tls: bool = False
    """Encrypt the connection and check the server's certificate."""
    ca_file: Path | None = None
    """Certificates to trust, PEM; gRPC's own when left out."""
    cert_file: Path | None = None
    """Own certificate, PEM, where the server asks for one."""
    key_file: Path | None = None
    """Key of the own certificate, PEM."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """Where a request names none."""
    repetition_penalty: float = Field(default=1.0, gt=0, le=2)
    """Where a request names none."""
    sampling_parameters: dict[str, Any] = Field(default_factory=dict)
    """vLLM's own sampling parameters that go with every request, such as `top_k`."""


class Triton:
    """Answers with a model of Triton's vLLM backend; holds nothing itself."""

    Options: ClassVar[type[EngineOptions]] = TritonOptions

    def __init__(self, options: TritonOptions, models_dir: Path) -> None:
        from tritonclient import grpc  # noqa: PLC0415 - only who takes this engine needs the library
        from tritonclient.grpc import aio  # noqa: PLC0415

        self._grpc: Any = grpc
        self._aio: Any = aio
        self._options = options
        self._client: Any = None
        self.slots = options.slots
        try:
            with closing(self._connect(grpc.InferenceServerClient)) as client:
                self._model = self._ready_model(client)
                self._inputs = self._checked_inputs(client)
        except grpc.InferenceServerException as exc:
            raise self._failure(exc) from exc
        except OSError as exc:
            raise EngineError(Stage.LLM, f"cannot read {exc.filename}: {exc.strerror}") from exc

    @classmethod
    def missing(cls, options: TritonOptions, models_dir: Path) -> str | None:
        """The address, the package or a file, where it is not there; asks no server."""
        if options.url is None:
            return "no url is set; it is the server's host and gRPC port, as in 127.0.0.1:8001"
        if find_spec("tritonclient") is None or find_spec("grpc") is None:
            return not_installed("tritonclient[grpc]", extra="triton")
        for file in (options.ca_file, options.cert_file, options.key_file):
            if file and not file.is_file():
                return f"no file {file}"
        return None

    @classmethod
    def needs_bytes(cls, options: TritonOptions, models_dir: Path) -> int:
        """The client library: the model is the server's."""
        return _LIBRARY_BYTES

    @property
    def info(self) -> EngineInfo:
        """The server's model."""
        return EngineInfo(
            name="triton",
            model=self._model,
            version=version("tritonclient"),
            device=self._options.url,
            context_window=self._options.context_window,
        )

    def chat(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """EngineError(no_template): Triton takes prompts only."""
        message = "Triton takes prompts: set llm.template to the form of its model (chatml, llama-3, mistral, …)"
        raise EngineError(Stage.LLM, message, reason="no_template", retriable=False)

    async def complete(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """How `prompt` goes on, as it is. Closing the iterator cancels the request, which ends the server's work."""
        if self._client is None:  # here, where the event loop is
            self._client = self._connect(self._aio.InferenceServerClient)
        tally = Tally("" if WHOLE_ANSWER in self._inputs else prompt, reasons=REASON in self._inputs)
        stream = self._client.stream_infer(self._one(prompt, sampling))  # a stream a request: cancelling one ends it
        try:
            async for result, error in stream:
                if error:
                    raise error
                if text := tally.take(result):
                    yield Delta(text)
                if result.get_response().parameters["triton_final_response"].bool_param:
                    break
            yield tally.last()
        except (self._grpc.InferenceServerException, self._aio.grpc.RpcError) as exc:
            raise self._failure(exc, begun=tally.begun) from exc
        finally:
            stream.cancel()

    async def count(self, asked: Sequence[Message] | str) -> int | None:
        """None: the model's tokenizer is the server's."""
        return None

    def close(self) -> None:
        """Nothing: connections end with the process."""

    async def _one(self, prompt: str, sampling: Sampling) -> AsyncIterator[dict[str, Any]]:
        """The stream's one request."""
        parameters = {
            "temperature": self._options.temperature,
            "repetition_penalty": self._options.repetition_penalty,
            **self._options.sampling_parameters,
            **sampling.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
        }
        values: dict[str, Any] = {
            "text_input": prompt.encode(),
            "stream": True,
            "sampling_parameters": json.dumps(parameters).encode(),
            **dict.fromkeys(FLAGS, True),
        }
        inputs = [self._tensor(name, value) for name, value in values.items() if name in self._inputs]
        yield {"model_name": self._model, "inputs": inputs}

    def _tensor(self, name: str, value: Any) -> Any:
        shape = [1] * len(self._inputs[name].shape)
        tensor = self._grpc.InferInput(name, shape, self._inputs[name].datatype)
        tensor.set_data_from_numpy(np.array(value, dtype=bool if value is True else np.object_).reshape(shape))
        return tensor

    def _connect(self, client: Any) -> Any:
        files = (self._options.ca_file, self._options.key_file, self._options.cert_file)
        ca, key, cert = (str(file) if file else None for file in files)
        return client(
            self._options.url, ssl=self._options.tls, root_certificates=ca, private_key=key, certificate_chain=cert
        )

    def _ready_model(self, client: Any) -> str:
        """The model to ask."""
        timeout = {"client_timeout": self._options.connect_timeout_s}
        if not client.is_server_live(**timeout):
            raise self._unready("is not live")
        index = client.get_model_repository_index(**timeout).models
        known = ", ".join(dict.fromkeys(each.name for each in index)) or "none"
        ready = [each.name for each in index if each.state == _READY]
        model = self._options.model or (ready[0] if len(set(ready)) == 1 else None)
        if model is None:
            raise self._unready(f"has not just one model that is ready, but {known}; name one in `model`")
        if model not in {each.name for each in index}:
            message = f"Triton at {self._options.url} has no model {model!r}; there are {known}"
            raise EngineError(Stage.LLM, message, code=ErrorCode.NOT_FOUND, field="model")
        if not client.is_model_ready(model, **timeout):
            reasons = {each.reason for each in index if each.name == model and each.reason}
            raise self._unready(f"has not loaded {model}: {'; '.join(sorted(reasons)) or 'it is not ready'}")
        return str(model)

    def _checked_inputs(self, client: Any) -> dict[str, Any]:
        """What the model takes, by name; EngineError where it is not the vLLM backend's."""
        timeout = {"client_timeout": self._options.connect_timeout_s}
        metadata = client.get_model_metadata(self._model, **timeout)
        config = client.get_model_config(self._model, **timeout).config
        if differs := differences(metadata, config):
            message = f"{self._model} at {self._options.url} is not a model of the vLLM backend: {'; '.join(differs)}"
            raise EngineError(Stage.LLM, message, retriable=False)
        return {each.name: each for each in metadata.inputs}

    def _unready(self, why: str) -> EngineError:
        return EngineError(
            Stage.LLM, f"Triton at {self._options.url} {why}", code=ErrorCode.MODEL_NOT_READY, reason=UNREACHABLE
        )

    def _failure(self, exc: Any, *, begun: bool = False) -> EngineError:
        """The error behind the library's, or behind gRPC's own."""
        triton = isinstance(exc, self._grpc.InferenceServerException)
        status = (exc.status() or "").rpartition(".")[2] if triton else exc.code().name
        words = " ".join(str((exc.message() if triton else exc.details()) or exc).split())
        if too_long := overflow(words):
            return too_long
        if begun:
            return EngineError(Stage.LLM, f"Triton at {self._options.url} broke the answer off: {words}")
        message = f"Triton at {self._options.url} failed: {words}"
        retriable = False if status in _FOR_GOOD else None
        return EngineError(Stage.LLM, message, code=_CODES.get(status), retriable=retriable)


_: type[LanguageModel] = Triton
