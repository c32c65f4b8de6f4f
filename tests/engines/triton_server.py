"""A Triton of our own: speaks its gRPC protocol through the client's generated stubs, and answers as it is told."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

OLD_INPUTS = {"text_input": "BYTES", "stream": "BOOL", "sampling_parameters": "BYTES"}
FLAGS = ("exclude_input_in_output", "return_finish_reason", "return_num_input_tokens", "return_num_output_tokens")
INPUTS = {**OLD_INPUTS, **dict.fromkeys(FLAGS, "BOOL")}

Asked = dict[str, Any]
Answer = Callable[[Asked, Any], AsyncIterator[Any]]
"""Gives responses to a request; the second is gRPC's own view of the call."""


@dataclass
class TritonServer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc] # its stubs are untyped
    """Serves one model, unless told otherwise, and gives each request the next of `answers`."""

    answers: list[Answer] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=lambda: dict(INPUTS))
    decoupled: bool = True
    live: bool = True
    models: dict[str, str] = field(default_factory=lambda: {"vllm_model": ""})
    """Name → why it is not ready."""
    asked: list[Asked] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """A request has arrived."""
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    """A request was cancelled by its caller."""
    url: str = ""

    async def ServerLive(self, request, context):  # noqa: N802 - the protocol's names
        return service_pb2.ServerLiveResponse(live=self.live)

    async def ModelReady(self, request, context):  # noqa: N802
        return service_pb2.ModelReadyResponse(ready=self.models.get(request.name) == "")

    async def RepositoryIndex(self, request, context):  # noqa: N802
        index = service_pb2.RepositoryIndexResponse()
        for name, reason in self.models.items():
            index.models.add(name=name, version="1", state="UNAVAILABLE" if reason else "READY", reason=reason)
        return index

    async def ModelMetadata(self, request, context):  # noqa: N802
        metadata = service_pb2.ModelMetadataResponse(name=request.name, platform="vllm")
        for name, datatype in self.inputs.items():
            metadata.inputs.add(name=name, datatype=datatype, shape=[1])
        metadata.outputs.add(name="text_output", datatype="BYTES", shape=[-1])
        return metadata

    async def ModelConfig(self, request, context):  # noqa: N802
        config = service_pb2.ModelConfigResponse()
        config.config.model_transaction_policy.decoupled = self.decoupled
        return config

    async def ModelStreamInfer(self, request_iterator, context):  # noqa: N802
        try:
            async for request in request_iterator:
                asked = _read(request)
                self.asked.append(asked)
                self.arrived.set()
                async for response in self.answers.pop(0)(asked, context):
                    yield response
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@asynccontextmanager
async def triton_server(*answers: Answer, credentials: Any = None, **settings: Any) -> AsyncIterator[TritonServer]:
    """A Triton on the loopback; with `credentials`, over TLS."""
    server = TritonServer(list(answers), **settings)
    listener = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(server, listener)
    port = (
        listener.add_secure_port("127.0.0.1:0", credentials)
        if credentials
        else listener.add_insecure_port("127.0.0.1:0")
    )
    server.url = f"127.0.0.1:{port}"
    await listener.start()
    try:
        yield server
    finally:
        await listener.stop(None)


def writes(*words: str, reason: str | None = "stop", tokens: int = 1, final: bool = True, error: str = "") -> Answer:
    """Answers as the vLLM backend does: a response a piece, and what was asked for beside it."""

    async def answer(asked: Asked, _: Any) -> AsyncIterator[Any]:
        for number, word in enumerate(words, 1):
            ended = number == len(words) and not error
            yield response(
                word,
                finish_reason=(str(reason) if ended else "None") if "return_finish_reason" in asked else None,
                input_tokens=9 if "return_num_input_tokens" in asked else None,
                output_tokens=tokens if "return_num_output_tokens" in asked else None,
                final=ended and final,
            )
        if error:
            yield service_pb2.ModelStreamInferResponse(error_message=error)

    return answer


def echoes() -> Answer:
    """Repeats its prompt, word by word."""

    async def answer(asked: Asked, _: Any) -> AsyncIterator[Any]:
        for word in asked["text_input"].split():
            yield response(f"{word} ", finish_reason="None")
            await asyncio.sleep(0)
        yield response("", finish_reason="stop", final=True)

    return answer


def hangs(*words: str) -> Answer:
    """Writes some words, and nothing more for ever."""

    async def answer(_: Asked, __: Any) -> AsyncIterator[Any]:
        for word in words:
            yield response(word)
        await asyncio.Event().wait()

    return answer


def aborts(code: grpc.StatusCode, details: str, *words: str) -> Answer:
    """Ends the call itself with an error, after some words."""

    async def answer(_: Asked, context: Any) -> AsyncIterator[Any]:
        for word in words:
            yield response(word)
        await context.abort(code, details)

    return answer


def response(
    text: str,
    *,
    finish_reason: str | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    final: bool = False,
) -> Any:
    """One response of a stream."""
    whole = service_pb2.ModelStreamInferResponse()
    part = whole.infer_response
    strings = {"text_output": text, "finish_reason": finish_reason}
    numbers = {"num_input_tokens": input_tokens, "num_output_tokens": output_tokens}
    for name, string in strings.items():
        if string is not None:
            part.outputs.add(name=name, datatype="BYTES", shape=[1])
            part.raw_output_contents.append(struct.pack("<I", len(string.encode())) + string.encode())
    for name, number in numbers.items():
        if number is not None:
            part.outputs.add(name=name, datatype="UINT32", shape=[1])
            part.raw_output_contents.append(struct.pack("<I", number))
    part.parameters["triton_final_response"].bool_param = final
    return whole


def _read(request: Any) -> Asked:
    """The inputs of a request by name, the model's among them."""
    asked: Asked = {"model": request.model_name}
    for tensor, content in zip(request.inputs, request.raw_input_contents, strict=True):
        asked[tensor.name] = content[4:].decode() if tensor.datatype == "BYTES" else content == b"\1"
    asked["sampling_parameters"] = json.loads(asked["sampling_parameters"])
    return asked
