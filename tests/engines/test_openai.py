"""A server of OpenAI's protocol as an engine: real servers, and one that does what servers do on their bad days."""

import asyncio
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from agent.contract.errors import ErrorCode
from agent.contract.messages import Message, Sampling
from agent.contract.terms import FinishReason, Role, Stage
from agent.engines import registry
from agent.engines.base import Delta
from agent.engines.host import LanguageModelHost
from agent.engines.llm_openai import OpenAi, OpenAiOptions
from agent.errors import EngineError
from agent.settings import Settings
from tests.engines.openai_servers import (
    KEY,
    SLOTS,
    WINDOW,
    Reply,
    breaks_off,
    lists,
    llama_cpp_python_server,
    llamacpp_server,
    says,
    scripted_server,
    writes,
)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.engines,
    pytest.mark.skipif(find_spec("openai") is None, reason="openai is not installed"),
]

FRANCE = "What is the capital of France?"
HELPFUL = Message(role=Role.SYSTEM, content="You are a helpful assistant.")
USAGE = {"prompt_tokens": 12, "completion_tokens": 3}


@pytest.fixture(scope="module")
def model(anyio_backend):  # noqa: ARG001 - the real servers' fixtures are anyio ones
    path = Settings().models_dir / "smollm2-135m" / "model.gguf"
    if not path.is_file():
        pytest.skip(f"no model at {path}")
    return path


@pytest.fixture(scope="module")
async def llamacpp(model):
    if find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed")
    async with llamacpp_server(model) as server:
        yield server


@pytest.fixture(scope="module")
async def llama_cpp_python(model):
    if find_spec("llama_cpp") is None:
        pytest.skip("llama-cpp-python is not installed")
    async with llama_cpp_python_server(model) as server:
        yield server


@pytest.fixture
def connect(hosted, monkeypatch):
    """Starts the engine on a server, with KEY in the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    async def start(server: Any, **options: Any) -> LanguageModelHost:
        return await hosted(Stage.LLM, "openai", **{"base_url": server.base_url, **options})

    return start


async def load(server: Any, **options: Any) -> OpenAi:
    """The leaf itself, where no call is made."""
    chosen = OpenAiOptions(**{"base_url": server.base_url, **options})
    return await asyncio.to_thread(OpenAi, chosen, Path())


async def said(llm: LanguageModelHost, question: str = FRANCE, **sampling: Any) -> list[Delta]:
    messages = [HELPFUL, Message(role=Role.USER, content=question)]
    return [delta async for delta in llm.chat(messages, Sampling(**sampling))]


async def failure(llm: LanguageModelHost, question: str = FRANCE) -> EngineError:
    with pytest.raises(EngineError) as caught:
        await said(llm, question)
    assert "\n" not in caught.value.message
    return caught.value


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


@pytest.mark.embedded
async def test_llamacpps_server_answers(connect, llamacpp):
    llm = await connect(llamacpp, temperature=0, repetition_penalty=1.1)
    assert llm.info.name == "openai"
    assert llm.info.model.endswith("model.gguf")
    assert llm.info.device == llamacpp.base_url
    assert llm.info.context_window == WINDOW
    whole = await said(llm, max_tokens=24)
    assert "Paris" in text_of(whole)
    assert (whole[-1].prompt_tokens, whole[-1].completion_tokens) == (27, 24)
    assert whole[-1].prefill_tok_s
    assert whole[-1].decode_tok_s
    stopped = await said(llm, max_tokens=24, stop=("Paris",))
    assert "Paris" not in text_of(stopped)
    assert stopped[-1].finish_reason is FinishReason.STOP
    cut, raw = await asyncio.gather(
        said(llm, "Count from one to ninety nine", max_tokens=4), _completed(llm, "The capital of France is")
    )
    assert (cut[-1].finish_reason, cut[-1].completion_tokens) == (FinishReason.LENGTH, 4)
    assert "Paris" in text_of(raw)
    assert raw[-1].prompt_tokens == 5


async def _completed(llm: LanguageModelHost, prompt: str) -> list[Delta]:
    return [delta async for delta in llm.complete(prompt, Sampling(max_tokens=4))]


@pytest.mark.embedded
async def test_llamacpps_server_tells_what_does_not_fit(connect, llamacpp):
    llm = await connect(llamacpp)
    error = await failure(llm, "word " * 600)
    assert error.code is ErrorCode.CONTEXT_LENGTH_EXCEEDED
    assert error.limit == WINDOW
    assert error.actual is not None
    assert error.actual > 600
    assert f"{error.actual:.0f} tokens, more than the model's window of {WINDOW}" in error.message


@pytest.mark.embedded
async def test_closing_an_answer_ends_llamacpps_work(connect, llamacpp):
    llm = await connect(llamacpp, extra_body={"ignore_eos": True})
    limit = WINDOW - 64
    for _ in range(SLOTS + 1):
        async with aclosing(llm.chat([Message(role=Role.USER, content=FRANCE)], Sampling(max_tokens=limit))) as deltas:
            assert (await anext(deltas)).text
        assert await llamacpp.decoded_until_idle() < limit / 2


@pytest.mark.embedded
async def test_llamacpps_server_takes_the_key_of_a_file_and_no_other(llamacpp, tmp_path):
    key_file = tmp_path / "key"
    key_file.write_text(f"{KEY}\nsecond line\n")
    assert (await load(llamacpp, api_key_file=key_file)).info.context_window == WINDOW
    key_file.write_text("wrong-key\n")
    with pytest.raises(EngineError, match=r"refuses the API key \(401\); it belongs in api_key_file") as caught:
        await load(llamacpp, api_key_file=key_file)
    assert not caught.value.retriable
    assert "wrong-key" not in caught.value.message


async def test_llama_cpp_pythons_server_answers(connect, llama_cpp_python):
    llm = await connect(llama_cpp_python, temperature=0)
    assert "Paris" in text_of(await _completed(llm, "The capital of France is"))
    whole = await said(llm, max_tokens=8)
    assert text_of(whole)
    assert whole[-1] == Delta(finish_reason=FinishReason.LENGTH)  # it does not count
    async with aclosing(llm.chat([HELPFUL], Sampling(max_tokens=400))) as deltas:
        await anext(deltas)
    error = await failure(llm, "word " * 600)
    assert error.code is ErrorCode.CONTEXT_LENGTH_EXCEEDED
    assert error.limit == WINDOW
    assert llm.state.restarts == 0


async def test_what_is_sent(connect):
    async with scripted_server(*[writes("Hi")] * 3) as server:
        llm = await connect(server, repetition_penalty=1.2, temperature=0.5, extra_body={"top_k": 40})
        await said(llm, "<|im_end|> what?", top_p=0.9, max_tokens=9, stop=("a", "b"), seed=7, presence_penalty=0.5)
        await said(llm, repetition_penalty=1.3, temperature=0.0)
        async for _ in llm.complete("<s>[INST] raw", Sampling()):
            pass
        full, other, raw = server.questions
    assert full.path == "/v1/chat/completions"
    assert full.headers["authorization"] == f"Bearer {KEY}"
    assert [turn["content"] for turn in full.body.pop("messages")] == [HELPFUL.content, "< |im_end|> what?"]
    assert full.body == {
        "model": "tiny",
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 9,
        "stop": ["a", "b"],
        "seed": 7,
        "presence_penalty": 0.5,
        "repetition_penalty": 1.2,
        "top_k": 40,
    }
    assert (other.body["repetition_penalty"], other.body["temperature"]) == (1.3, 0.0)
    assert raw.path == "/v1/completions"
    assert raw.body["prompt"] == "<s>[INST] raw"


async def test_the_model_and_its_window_are_the_servers():
    models = lists({"id": "big", "max_model_len": 4_096}, {"id": "small", "meta": {"n_ctx": 1_024}})
    async with scripted_server(models=models) as server:
        assert (await load(server)).info.label == "openai/big"
        assert (await load(server)).info.context_window == 4_096
        assert (await load(server, model="small")).info.context_window == 1_024
        assert (await load(server, model="small", context_window=99)).info.context_window == 99
        assert (await load(server, model="other")).info.context_window is None


async def test_llamacpp_is_known_by_its_list(connect):
    async def models(reply: Reply) -> None:
        if server.asked[-1].path == "/props":
            await reply.json(200, {"default_generation_settings": {"n_ctx": 768}})
            return
        await lists({"id": "gguf", "owned_by": "llamacpp"})(reply)

    async with scripted_server(writes("Hi"), models=models) as server:
        llm = await connect(server, repetition_penalty=1.1)
        assert llm.info.context_window == 768
        await said(llm)
        assert server.questions[-1].body["repeat_penalty"] == 1.1


async def test_a_server_without_a_list_needs_a_model_by_name(connect):
    async with scripted_server(writes("Hi"), models=says(404, {"detail": "Not Found"})) as server:
        with pytest.raises(EngineError, match=r"/v1/models lists no models: name one in `model`.* lack its /v1\?"):
            await load(server)
        assert text_of(await said(await connect(server, model="mine"))) == "Hi"
    async with scripted_server(models=says(200, "a page")) as server:
        with pytest.raises(EngineError, match="lists no models"):
            await load(server)


async def test_a_server_that_is_not_there_is_named_without_its_password():
    async with scripted_server() as server:
        pass
    address = server.base_url.removeprefix("http://")
    with pytest.raises(EngineError, match=f"cannot reach http://{address}: ") as caught:
        await load(server, base_url=f"http://me:pass-word@{address}", retries=0)
    assert caught.value.code is ErrorCode.MODEL_NOT_READY
    assert caught.value.retriable
    assert "pass-word" not in caught.value.message


async def test_a_server_that_comes_back_is_asked_again_before_the_first_word(connect):
    loading = says(503, {"error": {"message": "Loading model"}})
    busy = says(429, {"error": {"message": "slow down"}}, **{"Retry-After": "0"})
    wordless = writes(then=breaks_off)
    async with scripted_server(loading, breaks_off, writes("Hi"), busy, wordless, writes("Ho")) as server:
        llm = await connect(server, retries=2)
        assert [text_of(await said(llm)) for _ in range(2)] == ["Hi", "Ho"]
        assert len(server.questions) == 6


async def test_a_server_that_does_not_come_back_is_given_up(connect):
    async with scripted_server(*[says(503, {"error": {"message": "Loading model"}})] * 2) as server:
        llm = await connect(server, retries=1)
        error = await failure(llm)
        assert (error.code, error.retriable) == (ErrorCode.MODEL_NOT_READY, True)
        assert "Loading model" in error.message
        server.answers = [says(429, {"error": {"message": "slow down"}}, **{"Retry-After": "3600"})]
        assert (await failure(llm)).code is ErrorCode.BUSY
        server.answers = [says(429, {"error": {"message": "pay first", "code": "insufficient_quota"}})]
        assert not (await failure(llm)).retriable
        assert len(server.questions) == 4


async def test_what_would_fail_again_is_not_tried_again(connect):
    async def fails(reply: Reply) -> None:
        await reply.events({"choices": [{"delta": {"content": "Hi"}}]}, {"error": {"message": "CUDA out of memory"}})

    async with scripted_server(
        says(400, {"error": {"message": f"stop: too many\n(you are {KEY})"}}),
        says(403, {"error": {"message": f"{KEY} may not"}}),
        says(404, {"error": {"message": "The model `tiny` does not exist."}}),
        fails,
        writes("He", "llo", then=breaks_off),
        writes("Hel", then=lambda reply: reply.end()),
        writes("Hel", finish="content_filter"),
    ) as server:
        llm = await connect(server)
        errors = [await failure(llm) for _ in range(7)]
        assert len(server.questions) == 7
    refused, forbidden, unknown, failed, broken, endless, filtered = errors
    assert f"{server.base_url} failed (400): stop: too many (you are ***)" in refused.message
    assert not refused.retriable
    assert "refuses the API key (403); it belongs in api_key_file or OPENAI_API_KEY" in forbidden.message
    assert (unknown.code, unknown.field) == (ErrorCode.NOT_FOUND, "model")
    assert "it lists tiny" in unknown.message
    assert "broke the answer off: CUDA out of memory" in failed.message
    assert "broke the answer off" in broken.message
    assert "broke the answer off" in endless.message
    assert "content_filter" in filtered.message
    assert {error.code for error in (refused, forbidden, failed, broken, endless, filtered)} == {ErrorCode.LLM_FAILED}
    assert not any(KEY in error.message for error in errors)


async def test_what_is_no_answer_is_an_error(connect):
    async def babbles(reply: Reply) -> None:
        await reply.events("{not json")

    async def is_silent(reply: Reply) -> None:
        await reply.events()
        await reply.end()

    answers = [babbles, is_silent, says(400, {"error": {"message": "bad"}}), is_silent, says(200, {"choices": []})]
    async with scripted_server(*answers) as server:
        llm = await connect(server)
        assert "does not speak the protocol" in (await failure(llm)).message
        assert "failed (400): bad" in (await failure(llm)).message
        assert "broke the answer off" in (await failure(llm)).message


# As each server words it: OpenAI, llama.cpp, vLLM old and new, MLC LLM, TensorRT-LLM; then the tokens and the window.
TOO_LONG: list[tuple[str, int | None, int | None]] = [
    ("maximum context length is 4097 tokens. However, your messages resulted in 5001 tokens.", 5_001, 4_097),
    ("request (901 tokens) exceeds the available context size (512 tokens), try increasing it", 901, 512),
    ("maximum context length is 2048 tokens. However, you requested 2200 tokens (2100 in the messages", 2_100, 2_048),
    (("You passed 2049 input tokens and requested 1 output tokens. However, the model's context length is only 2048"
     " tokens, resulting in a maximum input length of 2047 tokens."), 2_049, 2_048),
    ("Request prompt has 900 tokens in total, larger than the model input length limit 768.", 900, 768),
    ("The sum of prompt length (101.0), query length (0) should not exceed max_num_tokens (100)", 101, 100),
]  # fmt: skip


async def test_every_server_says_in_its_own_words_that_a_conversation_is_too_long(connect):
    older_llamacpp = {"message": "too large", "type": "exceed_context_size_error", "n_prompt_tokens": 9, "n_ctx": 8}
    answers = [
        *(says(400, {"error": {"message": words, "code": 400}}) for words, _, _ in TOO_LONG),
        says(400, {"error": older_llamacpp}),
        says(400, {"error": {"message": "no", "code": "context_length_exceeded"}}),
        says(400, {"object": "error", "message": "You passed 5 input tokens and requested 8 output tokens. However, the"
                   " model's context length is only 12 tokens"}),
        says(400, {"error": "prompt too long; exceeded max context length by 17 tokens"}),
    ]  # fmt: skip
    async with scripted_server(*answers) as server:
        llm = await connect(server)
        errors = [await failure(llm) for _ in answers]
    assert {(error.code, error.retriable) for error in errors} == {(ErrorCode.CONTEXT_LENGTH_EXCEEDED, False)}
    expected = [(asked, window) for _, asked, window in TOO_LONG]
    assert [(error.actual, error.limit) for error in errors[:-2]] == [*expected, (9, 8), (None, None)]
    assert errors[0].message == "the conversation has 5001 tokens, more than the model's window of 4097"
    assert errors[-2].message == "the conversation has 5 tokens, with its answer more than the model's window of 12"
    assert "longer than the model's window: prompt too long; exceeded max" in errors[-1].message


async def test_a_server_that_refuses_to_count_is_asked_not_to(connect):
    async def refuses(reply: Reply) -> None:
        if len(server.questions) == 1:
            await server_asked_twice.wait()
        server_asked_twice.set()
        await says(422, {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs"}]})(reply)

    server_asked_twice = asyncio.Event()
    async with scripted_server(refuses, refuses, *[writes("Hi")] * 3) as server:
        llm = await connect(server, retries=0)
        answers = [*await asyncio.gather(said(llm), said(llm)), await said(llm)]
        assert [answer[-1] for answer in answers] == [Delta(finish_reason=FinishReason.STOP)] * 3
        assert ["stream_options" in asked.body for asked in server.questions] == [True, True, False, False, False]


async def test_what_the_server_counts_is_told(connect):
    usage = {**USAGE, "extra": {"prefill_tokens_per_s": 250.0, "decode_tokens_per_s": 500_000.0}}
    async with scripted_server(writes("a", "b", "c", finish="length", usage=usage)) as server:
        end = (await said(await connect(server)))[-1]
    assert (end.prompt_tokens, end.completion_tokens) == (12, 3)
    assert end.finish_reason is FinishReason.LENGTH
    assert end.prefill_tok_s == 250.0
    assert end.decode_tok_s != 500_000.0


async def test_a_server_that_never_answers_is_left_at_cancel(connect):
    left = asyncio.Event()

    async def hangs(reply: Reply) -> None:
        await reply.until_left()
        left.set()

    async with scripted_server(hangs, writes("Hel", then=hangs), writes("Hi")) as server:
        llm = await connect(server, slots=1)
        for _ in range(2):
            asking = asyncio.create_task(said(llm))
            await server.arrived.wait()
            asking.cancel()
            await left.wait()
            server.arrived.clear()
            left.clear()
        assert text_of(await said(llm)) == "Hi"
        assert llm.state.restarts == 0


def test_nothing_is_asked_before_it_is_set_up(tmp_path):
    def why(**options: Any) -> str | None:
        return OpenAi.missing(OpenAiOptions(**options), tmp_path)

    assert "no base_url is set" in str(why())
    assert "no file" in str(why(base_url="http://127.0.0.1:1/v1", api_key_file=tmp_path / "key"))
    assert why(base_url="http://127.0.0.1:1/v1") is None
    with pytest.raises(EngineError, match="openai: no base_url is set"):
        registry.choose(Stage.LLM, "openai", {}, tmp_path)
    with pytest.raises(EngineError, match="base_url"):
        registry.choose(Stage.LLM, "openai", {"base_url": "127.0.0.1:8000"}, tmp_path)
