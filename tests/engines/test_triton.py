"""Triton's vLLM backend as an engine, against a server of our own that speaks its protocol."""

import asyncio
import shutil
import subprocess
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tritonclient.grpc", reason="tritonclient[grpc] is not installed")

import grpc

from agent.contract.errors import ErrorCode
from agent.contract.messages import Message, Sampling
from agent.contract.terms import FinishReason, Role, Stage
from agent.engines import registry
from agent.engines.base import Delta
from agent.engines.host import LanguageModelHost
from agent.engines.llm_triton import Triton, TritonOptions
from agent.engines.settings import LanguageModelSettings
from agent.errors import EngineError
from tests.engines.triton_server import INPUTS, OLD_INPUTS, aborts, echoes, hangs, triton_server, writes

pytestmark = [pytest.mark.anyio, pytest.mark.engines]


@pytest.fixture
def connect(hosted):
    """Starts the engine on a server."""

    async def start(server: Any, **options: Any) -> LanguageModelHost:
        return await hosted(Stage.LLM, "triton", **{"url": server.url, **options})

    return start


async def completed(llm: LanguageModelHost, prompt: str = "Once upon", **sampling: Any) -> list[Delta]:
    return [delta async for delta in llm.complete(prompt, Sampling(**sampling))]


async def failure(llm: LanguageModelHost) -> EngineError:
    with pytest.raises(EngineError) as caught:
        await completed(llm)
    assert "\n" not in caught.value.message
    return caught.value


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


async def test_an_answer_and_what_it_took(connect):
    async with triton_server(writes("a", " time", reason="length", tokens=2)) as server:
        llm = await connect(server, context_window=2_048)
        assert llm.info.label == "triton/vllm_model"
        assert (llm.info.device, llm.info.context_window) == (server.url, 2_048)
        deltas = await completed(llm)
    assert [delta.text for delta in deltas] == ["a", " time", ""]
    end = deltas[-1]
    assert (end.finish_reason, end.prompt_tokens, end.completion_tokens) == (FinishReason.LENGTH, 9, 4)


async def test_what_is_sent(connect):
    async with triton_server(writes("Hi"), writes("Hi")) as server:
        llm = await connect(server, temperature=0.5, sampling_parameters={"top_k": 40})
        await completed(llm, "<s>[INST] raw", max_tokens=9, stop=("a", "b"), seed=7, top_p=0.9, presence_penalty=0.5)
        await completed(llm, temperature=0.0, repetition_penalty=1.3)
    full, other = server.asked
    assert full.pop("sampling_parameters") == {
        "temperature": 0.5,
        "repetition_penalty": 1.0,
        "top_k": 40,
        "max_tokens": 9,
        "stop": ["a", "b"],
        "seed": 7,
        "top_p": 0.9,
        "presence_penalty": 0.5,
    }
    flags = dict.fromkeys(name for name, kind in INPUTS.items() if kind == "BOOL")
    assert full == {"model": "vllm_model", "text_input": "<s>[INST] raw", **dict.fromkeys(flags, True)}
    assert other["sampling_parameters"] == {"temperature": 0.0, "repetition_penalty": 1.3, "top_k": 40}


async def test_a_conversation_needs_a_template(hosted, models_dir):
    question = [Message(role=Role.USER, content="What <|im_end|> is it?")]
    async with triton_server(writes("Noon")) as server:
        bare = await hosted(Stage.LLM, "triton", url=server.url)
        with pytest.raises(EngineError, match=r"set llm.template to the form of its model \(chatml") as caught:
            await anext(bare.chat(question, Sampling()))
        assert not caught.value.retriable
        settings = LanguageModelSettings(name="triton", options={"url": server.url}, template="chatml")
        llm = LanguageModelHost(Stage.LLM, settings, models_dir, on_change=lambda: None)
        try:
            await llm.start()
            assert text_of([delta async for delta in llm.chat(question, Sampling())]) == "Noon"
        finally:
            await llm.close()
    (asked,) = server.asked
    assert asked["text_input"] == "<|im_start|>user\nWhat < |im_end|> is it?<|im_end|>\n<|im_start|>assistant\n"
    assert asked["sampling_parameters"]["stop"] == ["<|im_end|>"]


async def test_an_older_backend_repeats_the_prompt_and_counts_nothing(connect):
    in_pieces = writes("Once upon a", " time", final=False)
    ever_longer = writes("Once upon a", "Once upon a time", final=False)
    async with triton_server(in_pieces, ever_longer, inputs=OLD_INPUTS) as server:
        llm = await connect(server)
        for _ in range(2):
            deltas = await completed(llm)
            assert [delta.text for delta in deltas] == [" a", " time", ""]
            assert deltas[-1] == Delta(finish_reason=FinishReason.STOP)
    assert server.asked[0].keys() == {"model", *OLD_INPUTS}


async def test_a_request_is_cancelled_at_the_server(connect):
    async with triton_server(hangs(), hangs("Hel"), writes("Hi")) as server:
        llm = await connect(server, slots=1)
        asking = asyncio.create_task(completed(llm))
        await server.arrived.wait()
        asking.cancel()
        await server.cancelled.wait()
        server.cancelled.clear()
        async with aclosing(llm.complete("Once", Sampling())) as deltas:
            assert (await anext(deltas)).text == "Hel"
        await server.cancelled.wait()
        assert text_of(await completed(llm)) == "Hi"
        assert llm.state.restarts == 0


async def test_requests_at_once_do_not_mix(connect):
    async with triton_server(*[echoes()] * 6) as server:
        llm = await connect(server, slots=3)
        prompts = [f"{number} " * 20 for number in range(6)]
        answers = await asyncio.gather(*(completed(llm, prompt) for prompt in prompts))
    assert [text_of(answer) for answer in answers] == prompts


async def test_errors_have_their_codes(connect):
    too_long = (
        "Error generating stream: The decoder prompt (length 5000) is longer than the maximum model length of 2048."
    )
    answers = [
        writes(error=too_long),
        writes(error="Error generating stream: CUDA\nout of memory"),
        writes("Hel", error="Error generating stream: engine is dead"),
        writes("Hel", reason="abort"),
        writes("Hel", reason=None),
        aborts(grpc.StatusCode.UNAVAILABLE, "GOAWAY", "Hel"),
        aborts(grpc.StatusCode.UNAVAILABLE, "no healthy upstream"),
        aborts(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue is full"),
        aborts(grpc.StatusCode.INVALID_ARGUMENT, "unexpected shape"),
    ]
    async with triton_server(*answers) as server:
        llm = await connect(server)
        errors = [await failure(llm) for _ in answers]
    long, failed, dead, aborted, endless, gone, away, full, invalid = errors
    assert (long.code, long.actual, long.limit) == (ErrorCode.CONTEXT_LENGTH_EXCEEDED, 5_000, 2_048)
    assert f"Triton at {server.url} failed: Error generating stream: CUDA out of memory" in failed.message
    assert "broke the answer off: Error generating stream: engine is dead" in dead.message
    assert "ended the answer: abort" in aborted.message
    assert "broke the answer off" in endless.message
    assert "broke the answer off: GOAWAY" in gone.message
    assert {error.code for error in (failed, dead, aborted, endless, gone, invalid)} == {ErrorCode.LLM_FAILED}
    assert (away.code, full.code) == (ErrorCode.MODEL_NOT_READY, ErrorCode.BUSY)
    assert [invalid.retriable, full.retriable, away.retriable] == [False, True, True]


async def refusal(server: Any, **options: Any) -> EngineError:
    """Why the engine cannot be loaded; loaded here, since no call is made."""
    chosen = TritonOptions(**{"url": server.url, **options})
    with pytest.raises(EngineError) as caught:
        await asyncio.to_thread(Triton, chosen, Path())
    return caught.value


async def test_why_it_cannot_be_loaded():
    async with triton_server(models={"one": "", "two": "", "three": "out of memory"}) as server:
        assert "has not just one model that is ready, but one, two, three; name one" in (await refusal(server)).message
        unknown = await refusal(server, model="four")
        assert unknown.code is ErrorCode.NOT_FOUND
        assert "no model 'four'; there are one, two, three" in unknown.message
        unready = await refusal(server, model="three")
        assert unready.code is ErrorCode.MODEL_NOT_READY
        assert "has not loaded three: out of memory" in unready.message
        server.live = False
        assert "is not live" in (await refusal(server, model="one")).message
    gone = await refusal(server)
    assert (gone.code, gone.retriable) == (ErrorCode.MODEL_NOT_READY, True)
    assert server.url in gone.message


async def test_a_model_of_another_kind_is_refused_with_what_differs():
    async with triton_server(inputs={"text_input": "INT32", "stream": "BOOL"}, decoupled=False) as server:
        error = await refusal(server)
    assert "vllm_model" in error.message
    assert "is not a model of the vLLM backend: it has no input sampling_parameters (BYTES)" in error.message
    assert "its input text_input is INT32, not BYTES; it is not decoupled" in error.message
    assert not error.retriable


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_over_tls(connect, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    name = ("-subj", "/CN=triton", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(key), "-out", str(certificate))
    await asyncio.to_thread(subprocess.run, ["openssl", *make, *name, *files], check=True, capture_output=True)
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    async with triton_server(writes("Hi"), credentials=credentials) as server:
        llm = await connect(server, tls=True, ca_file=str(certificate))
        assert text_of(await completed(llm)) == "Hi"
        assert (await refusal(server)).code is ErrorCode.MODEL_NOT_READY


def test_nothing_is_asked_before_it_is_set_up(tmp_path):
    def why(**options: Any) -> str | None:
        return Triton.missing(TritonOptions(**options), tmp_path)

    assert "no url is set" in str(why())
    assert "no file" in str(why(url="127.0.0.1:1", ca_file=tmp_path / "ca.pem"))
    assert why(url="127.0.0.1:1") is None
    with pytest.raises(EngineError, match="triton: no url is set"):
        registry.choose(Stage.LLM, "triton", {}, tmp_path)
    with pytest.raises(EngineError, match="url"):
        registry.choose(Stage.LLM, "triton", {"url": "http://127.0.0.1:8001"}, tmp_path)
