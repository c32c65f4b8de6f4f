"""LangChain's `ChatOpenAI` against the real bridge, agent and broker."""

import openai
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.once]


@pytest.fixture
async def chat(stack):
    langchain = pytest.importorskip("langchain_openai")  # here, for importing it takes as long as all of these tests
    with openai.DefaultHttpxClient() as client:  # its own are never closed
        async with openai.DefaultAsyncHttpxClient() as async_client:
            yield langchain.ChatOpenAI(
                base_url=f"{stack.url}/v1",
                api_key="none",
                model="default",
                max_retries=0,
                timeout=20,
                stream_usage=True,
                http_client=client,
                http_async_client=async_client,
            )


def test_an_answer(chat):
    answer = chat.invoke("Hi there")
    assert answer.content == "You said: Hi there"
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata["output_tokens"] == 4


def test_a_stream(chat):
    chunks = list(chat.stream("Hi there"))
    assert "".join(chunk.text for chunk in chunks) == "You said: Hi there"
    assert sum(chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata) == 4


def test_several_at_once(chat):
    answers = chat.batch([f"Number {number}" for number in range(8)])
    assert [answer.content for answer in answers] == [f"You said: Number {number}" for number in range(8)]


async def test_the_same_async(chat):
    assert (await chat.ainvoke([("system", "Be brief."), ("human", "Hi there")])).content == "You said: Hi there"
    assert "".join([chunk.text async for chunk in chat.astream("Hi there")]) == "You said: Hi there"
    answers = await chat.abatch(["One", "Two"])
    assert [answer.content for answer in answers] == ["You said: One", "You said: Two"]


def test_what_is_refused(chat):
    tool = {"name": "f", "description": "", "parameters": {"type": "object"}}
    with pytest.raises(openai.BadRequestError, match="this agent calls no tools") as refused:
        chat.bind_tools([tool]).invoke("Hi there")
    assert refused.value.param == "tools"
    with pytest.raises(openai.NotFoundError) as missing:
        chat.invoke("Hi there", model="gpt-4o")
    assert missing.value.code == "model_not_found"
