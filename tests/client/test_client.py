"""The requester's client: one reply a request, through a broker that forgets, and clear words where there is none."""

import asyncio

import pytest

from agent.client import AgentClient, AudioChunk, NoReply
from agent.contract.admin import AdminRequest, Health
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.events import EventType
from agent.contract.messages import Request, StreamOptions
from agent.contract.reply import Reply
from agent.contract.terms import AdminOperation, Operation, Presence, ReplyMode, RunState, Status
from agent.engines.settings import EngineSettings
from agent.mqtt.settings import MqttSettings
from agent.stack import Part, Stack, StackSettings

pytestmark = pytest.mark.anyio

ANSWER = "It is three. Then four."


@pytest.fixture(scope="module")
async def stack(anyio_backend):  # noqa: ARG001 - makes the fixture an anyio one
    """A language model that takes its time for five words."""
    slow = EngineSettings(name="scripted", options={"answer": ANSWER, "piece_delay_s": 0.3})
    async with Stack(StackSettings.scripted(llm=slow, parts=(Part.BROKER, Part.AGENT))) as running:
        yield running


@pytest.fixture
async def client(stack):
    async with AgentClient(stack.mqtt(), topics=stack.topics, client="demo") as opened:
        await opened.online(10)
        yield opened


async def on_its_way(client, request_id):
    """Returns once the agent has it."""
    while await client.lookup(request_id) is None:
        await asyncio.sleep(0.01)


async def refused(code, asking):
    with pytest.raises(ContractError) as caught:
        await asking
    assert caught.value.code is code
    return caught.value


@pytest.mark.once
async def test_a_broker_that_lost_its_memory_loses_no_answer(stack, client):
    asking = [asyncio.create_task(client.ask(Request(text="Hi"))) for _ in range(5)]
    await asyncio.sleep(0)
    await stack.kill(Part.BROKER)
    await stack.start(Part.BROKER)
    assert [reply.text for reply in await asyncio.gather(*asking)] == [ANSWER] * 5


@pytest.mark.once
async def test_an_agent_that_was_killed_answers_when_it_is_back(stack, client):
    asking = asyncio.create_task(client.ask(Request(text="Hi")))
    await asyncio.sleep(0.2)
    await stack.kill(Part.AGENT)
    await stack.start(Part.AGENT)
    assert (await asking).text == ANSWER


async def test_the_same_id_at_once_is_one_request(client):
    request = Request(id="same", text="Hi")
    asking = [asyncio.create_task(client.ask(request)) for _ in range(3)]
    await asyncio.sleep(0)
    await refused(ErrorCode.CONFLICT, client.ask(Request(id="same", text="Ho")))
    asking[0].cancel()  # one who leaves takes nobody along
    replies = await asyncio.gather(*asking[1:])
    assert replies[0] is replies[1]


async def test_two_of_one_user_are_not_taken_for_each_other(stack, client):
    async with AgentClient(stack.mqtt(), topics=stack.topics, client="demo") as another:
        await another.online(10)
        asking = asyncio.create_task(client.ask(Request(id="shared", text="Hi")))
        await on_its_way(client, "shared")
        same = asyncio.create_task(another.ask(Request(id="shared", text="Hi", deadline_ms=30_000)))
        await on_its_way(another, "shared")
        async with AgentClient(stack.mqtt(), topics=stack.topics, client="demo") as third:
            reply = await third.ask(Request(id="shared", text="Ho"))
        assert (reply.error and reply.error.code) is ErrorCode.CONFLICT
        assert (await asking).text == (await same).text == ANSWER


async def test_lookup_tells_what_became_of_a_request(client):
    assert await client.lookup("r1") is None
    asking = asyncio.create_task(client.ask(Request(id="r1", text="Hi")))
    await on_its_way(client, "r1")
    found = await client.lookup("r1")
    assert (found.state, found.reply) == (RunState.RUNNING, None)
    reply = await asking
    found = await client.lookup("r1")
    assert (found.state, found.reply) == (RunState.DONE, reply)


async def test_another_clients_requests_are_the_acls_to_allow(client):
    await refused(ErrorCode.FORBIDDEN, client.ask(Request(text="Hi"), client="other"))
    await refused(ErrorCode.FORBIDDEN, client.lookup("r1", client="other"))


async def test_cancel_brings_the_reply_of_the_cancelled(client):
    asking = asyncio.create_task(client.ask(Request(id="unwanted", text="Hi")))
    await asyncio.sleep(0.2)
    client.cancel("unwanted")
    assert (await asking).status is Status.CANCELLED


HEARD = Request(text="Hi", reply_mode=ReplyMode.AUDIO, stream=StreamOptions(audio=True))


def kinds(parts):
    """The types of events; what else there is as it is."""
    return [getattr(part, "type", part) for part in parts]


async def test_an_answer_is_heard_while_it_is_written(client):
    parts = [part async for part in client.stream(HEARD)]
    told, reply = kinds(parts), parts[-1]
    sounds = [part for part in parts if isinstance(part, AudioChunk)]
    assert [sound.chunk for sound in sounds] == list(range(reply.audio.chunks)) == [0, 1]
    assert all(sound.data.startswith(b"RIFF") for sound in sounds)
    assert told.index(sounds[0]) < told.index(EventType.LLM_END) < told.index(sounds[1])
    assert "".join(part.delta for part in parts if kinds([part]) == [EventType.TOKEN]) == reply.text == ANSWER
    numbers = [part.seq for part in parts if not isinstance(part, AudioChunk | Reply)]
    assert numbers == sorted(set(numbers))
    assert told.count(reply) == 1


async def test_what_is_not_said_to_be_wanted_is_events(client):
    parts = [part async for part in client.stream(Request(text="Hi"), operation=Operation.SPEAK)]
    assert EventType.TTS_START in kinds(parts)
    assert not any(isinstance(part, AudioChunk) for part in parts)
    assert parts[-1].audio.data


@pytest.mark.once
async def test_a_run_that_is_begun_anew_is_told_again_and_heard_once(stack, client):
    parts = []
    async for part in client.stream(HEARD):
        parts.append(part)
        if isinstance(part, AudioChunk) and part.chunk == 0:
            await stack.kill(Part.AGENT)
            await stack.start(Part.AGENT)
    assert kinds(parts).count(EventType.ACCEPTED) == 2
    assert [part.chunk for part in parts if isinstance(part, AudioChunk)] == [0, 1]
    assert parts[-1].text == ANSWER


@pytest.mark.parametrize("cancels", [True, False])
async def test_who_listens_no_more_has_the_run_cancelled_unless_told_not_to(client, cancels):
    request = Request(id=f"left-{cancels}", text="Hi")
    told = client.stream(request, cancels=cancels)
    assert (await anext(told)).type is EventType.ACCEPTED
    await told.aclose()
    while (found := await client.lookup(request.id)).state is not RunState.DONE:
        await asyncio.sleep(0.01)
    assert found.reply.status is (Status.CANCELLED if cancels else Status.OK)


async def test_a_run_that_another_waits_for_is_not_cancelled(client):
    told = client.stream(request := Request(id="both", text="Hi"))
    await anext(told)
    waiting = asyncio.create_task(client.ask(request.model_copy(update={"stream": StreamOptions()})))
    await asyncio.sleep(0)
    await told.aclose()
    assert (await waiting).status is Status.OK


async def test_what_was_heard_of_a_cancelled_answer(client):
    request, heard = HEARD.model_copy(update={"id": "enough"}), []
    async for part in client.stream(request):
        heard.append(part)
        if isinstance(part, AudioChunk):
            client.cancel("enough", last_seq=part.chunk)
    assert (heard[-1].status, heard[-1].heard_text) == (Status.CANCELLED, "It is three.")


async def test_a_request_that_cannot_be_asked_is_not_streamed(stack):
    async with AgentClient(stack.mqtt(), topics=stack.topics, client="somebody-else") as client:
        await client.online(10)
        await refused(ErrorCode.FORBIDDEN, anext(client.stream(Request(text="Hi"))))


@pytest.mark.once
async def test_an_agent_that_is_gone_is_said_at_once(stack, client):
    await stack.stop(Part.AGENT)
    try:
        while client.presence is not Presence.OFFLINE:
            await asyncio.sleep(0.01)
        await refused(ErrorCode.AGENT_OFFLINE, client.ask(Request(text="Hi")))
        client._reach.presence = None  # as before the broker's word of it
        with pytest.raises(NoReply):  # the broker keeps it for the agent
            await client.ask(Request(text="Hi", deadline_ms=100))
    finally:
        await stack.start(Part.AGENT)


async def test_who_may_not_ask_is_told(stack):
    async with AgentClient(stack.mqtt(), topics=stack.topics, client="somebody-else") as client:
        await client.online(10)
        await refused(ErrorCode.FORBIDDEN, client.ask(Request(text="Hi")))


async def test_a_broker_that_is_not_there_is_said():
    async with AgentClient(MqttSettings(port=1), topics=Stack().topics, client="demo") as client:
        error = await refused(ErrorCode.BROKER_UNAVAILABLE, client.ask(Request(text="Hi")))
    assert "127.0.0.1:1" in error.message


async def test_a_clip_too_large_is_said_in_its_own_measure(client):
    error = await refused(ErrorCode.PAYLOAD_TOO_LARGE, client.ask(Request(audio="A" * 6_000_000)))
    assert (error.field, error.actual) == ("audio", 4_500_000)


async def test_operators_calls_are_made_by_who_may(stack, client):
    await refused(ErrorCode.FORBIDDEN, client.administer(AdminOperation.HEALTH))
    async with AgentClient(stack.mqtt("operator"), topics=stack.topics, client="operator") as operator:
        await operator.online(10)
        health = Health.model_validate((await operator.administer(AdminOperation.HEALTH)).result, strict=False)
        assert [model.name for model in health.models] == ["default"]
        reply = await operator.administer(AdminOperation.MODELS_LOAD, AdminRequest(model="another"))
        assert reply.error
        assert reply.error.code is ErrorCode.NOT_FOUND
