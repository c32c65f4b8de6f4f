"""How much of a conversation a model is asked: what fits, its instruction always, and why not where it does not."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract.errors import ErrorCode
from agent.contract.messages import Message, Request, Sampling
from agent.contract.presence import EngineInfo
from agent.contract.terms import FinishReason, Overflow, Role, Stage
from agent.engines.base import Delta
from agent.errors import EngineError
from agent.journal.entries import Numbered, Turn
from agent.pipeline.history import Composer, History
from agent.pipeline.manner import Manner
from agent.pipeline.phrases import Phrases
from agent.pipeline.stages import Stages
from agent.pipeline.window import Parts, Window, Windows
from tests.fakes import FakeEngines, FakeLanguageModel

pytestmark = pytest.mark.anyio

SYSTEM = "Be kind."


class Counting:
    """A model that counts words, and one for each turn; it says how often it was asked to."""

    info = EngineInfo(name="fake", model="m1")

    def __init__(self, *, can_count=True, summary="They spoke."):
        self.counted = 0
        self.summary = summary
        self.summarized = []
        self._can_count = can_count

    async def count(self, messages):
        self.counted += 1
        return sum(1 + len(message.content.split()) for message in messages) if self._can_count else None

    async def chat(self, messages, sampling):
        self.summarized.append((messages[-1].content, sampling.max_tokens))
        yield Delta(self.summary)
        yield Delta(finish_reason=FinishReason.STOP)

    async def complete(self, prompt, sampling):
        yield Delta()


def history_of(number, **fields):
    turns = [
        Numbered(n, Turn(f"question {n} {'word ' * 8}", f"answer {n} {'word ' * 8}")) for n in range(1, number + 1)
    ]
    return History(turns=turns, **fields)


async def composed(history, *, tokens=200, reserved=50, overflow=Overflow.TRIM, engine=None, providers=(), **asked):
    window = Window(engine or Counting(), tokens, reserved)
    composer = Composer(SYSTEM, history, overflow, providers)
    request = Request(**(asked or {"text": "Now?"}))
    return await composer.compose(request, request.text or "", window)


def contents(prompt):
    return [message.content for message in prompt.messages]


async def test_what_fits_is_asked_whole_and_is_not_even_counted():
    engine = Counting()
    prompt = await composed(history_of(2), tokens=4_096, engine=engine)
    assert contents(prompt)[0] == SYSTEM
    assert (len(prompt.messages), contents(prompt)[-1], prompt.dropped, engine.counted) == (6, "Now?", 0, 0)


async def test_the_oldest_turns_are_left_out_and_the_instruction_is_not():
    engine = Counting()
    prompt = await composed(history_of(40), engine=engine)
    assert contents(prompt)[0] == SYSTEM
    assert prompt.messages[1].role is Role.USER
    assert contents(prompt)[-2].startswith("answer 40 ")
    assert len(prompt.messages) + prompt.dropped == 82
    assert await engine.count(prompt.messages) <= 150
    assert engine.counted < 12


async def test_the_beginning_stays_for_a_while_so_that_it_need_not_be_read_again():
    beginnings = [contents(await composed(history_of(number)))[1] for number in range(30, 46)]
    assert len(set(beginnings)) <= 5


async def test_a_question_that_does_not_fit_is_left_to_the_model_to_refuse():
    prompt = await composed(history_of(3), text="word " * 300)
    assert (len(prompt.messages), prompt.dropped) == (2, 6)


async def test_a_model_that_cannot_count_is_asked_what_surely_fits():
    prompt = await composed(history_of(40), engine=Counting(can_count=False), tokens=400)
    assert 0 < prompt.dropped < 80
    assert sum(len(text.encode()) // 3 for text in contents(prompt)) < 350


async def test_refused_where_it_is_not_to_be_cut_with_both_numbers():
    with pytest.raises(
        EngineError, match=r"^the conversation has \d+ tokens, which with 50 .* window of 200$"
    ) as caught:
        await composed(history_of(40), overflow=Overflow.ERROR)
    assert (caught.value.code, caught.value.limit) == (ErrorCode.CONTEXT_LENGTH_EXCEEDED, 200)
    assert (caught.value.actual or 0) > 200


async def test_what_is_left_out_is_told_in_short_once():
    engine, noted = Counting(), []
    history = history_of(18, on_summary=lambda *said: noted.append(said))
    prompt = await composed(history, tokens=400, overflow=Overflow.SUMMARIZE, engine=engine)
    assert contents(prompt)[0] == f"{SYSTEM}\n\nWhat was said before, in short: They spoke."
    [(summary, number)] = noted
    assert (summary, prompt.dropped) == ("They spoke.", 2 * number)
    assert engine.summarized[0][0].startswith("User: question 1 ")

    known = history_of(18, summary=summary, summarized=number)
    assert await composed(known, tokens=400, overflow=Overflow.SUMMARIZE, engine=engine) == prompt
    assert len(engine.summarized) == 1


async def test_a_summary_is_carried_on():
    engine = Counting(summary="They went on.")
    history = history_of(18, summary="They met.", summarized=4)
    await composed(history, tokens=400, overflow=Overflow.SUMMARIZE, engine=engine)
    asked, _ = engine.summarized[0]
    assert asked.startswith("What was said before, in short: They met.\nUser: question 5 ")


async def test_what_is_too_long_even_to_be_told_in_short_is_told_from_where_it_fits():
    engine = Counting()
    prompt = await composed(history_of(400), overflow=Overflow.SUMMARIZE, engine=engine)
    [(asked, _)] = engine.summarized
    assert asked.count("User: ") < 10
    assert f"question {prompt.dropped // 2} " in asked


async def test_what_cannot_fit_is_not_even_counted():
    engine, history = Counting(), history_of(40)
    prompt = await composed(history_of(4_000), engine=engine)
    counted = engine.counted
    fewer = await composed(history, engine=engine)
    assert (len(prompt.messages), prompt.dropped) == (len(fewer.messages), 8_000 - 80 + fewer.dropped)
    assert counted == engine.counted - counted


async def test_without_a_summary_it_is_cut():
    prompt = await composed(history_of(40), overflow=Overflow.SUMMARIZE, engine=Counting(summary=" "))
    assert (contents(prompt)[0], prompt.dropped > 0) == (SYSTEM, True)


async def test_what_else_is_known_goes_with_the_instruction():
    prompt = await composed(history_of(1), tokens=4_096, providers=[lambda _: "It is noon.", lambda _: ""])
    assert contents(prompt)[0] == f"{SYSTEM}\n\nIt is noon."


async def test_a_conversation_that_the_caller_brings_is_cut_like_any_other():
    turns = [Message(role=role, content="word " * 10) for _ in range(20) for role in (Role.USER, Role.ASSISTANT)]
    own = [Message(role=Role.SYSTEM, content="Be brief."), *turns, Message(role=Role.USER, content="Now?")]
    prompt = await composed(History(), messages=own)
    assert (contents(prompt)[0], contents(prompt)[-1], prompt.dropped > 0) == ("Be brief.", "Now?", True)
    assert prompt.messages[1].role is Role.USER


@given(st.lists(st.sampled_from(list(Role)), min_size=1), st.data())
def test_a_cut_leaves_instruction_and_question_and_begins_with_a_question(roles, data):
    messages = [Message(role=role, content=str(number)) for number, role in enumerate(roles)]
    parts = Parts.of(messages)
    assert parts.without(0) == messages
    cuts = parts.cuts()
    assert cuts == sorted(cuts)
    assert cuts[-1] == len(parts.earlier)
    left = parts.without(data.draw(st.sampled_from(cuts)))
    assert left[-1] == messages[-1]
    assert left[: len(parts.instruction)] == list(parts.instruction)
    rest = left[len(parts.instruction) : -1]
    assert not rest or rest[0].role is Role.USER


class Refusing(FakeLanguageModel):
    """A model that tells its window, in words, only by refusing what is too long."""

    info = EngineInfo(name="openai", model="m1")

    def __init__(self, *, tells=True, **info):
        super().__init__()
        self.info = EngineInfo(name="openai", model="m1", **info)
        self.asked = []
        self._tells = tells

    async def count(self, messages):
        return None

    async def chat(self, messages, sampling):
        words = sum(len(message.content.split()) for message in messages)
        self.asked.append(words)
        if words > 300:
            limit, actual = (300, words) if self._tells else (None, None)
            code = ErrorCode.CONTEXT_LENGTH_EXCEEDED
            raise EngineError(Stage.LLM, "too long", code=code, limit=limit, actual=actual)
        async for delta in super().chat(messages, sampling):
            yield delta


class Silent:
    """Reads nothing."""

    is_followed = True

    async def began(self):
        pass

    def wrote(self, piece):
        pass


async def answered(engine, history, stages=None, **asked):
    stages = stages or Stages(FakeEngines(llm=engine), 5, SYSTEM, Sampling(max_tokens=50), Phrases(0))
    return stages, await stages.chat(Manner(Request(text="Now?", **asked)), "Now?", history, Silent())


@pytest.mark.parametrize("known", [{}, {"context_window": 100_000}, {"context_window": 300}])
@pytest.mark.parametrize("tells", [True, False])
async def test_a_model_that_refuses_is_asked_less_and_the_next_time_at_once(tells, known):
    engine = Refusing(tells=tells, **known)
    stages, answer = await answered(engine, history_of(60))
    assert (answer.text, answer.dropped > 0, bool(answer.window)) == ("It is.", True, True)
    assert len(engine.asked) < 8
    tried = len(engine.asked)
    await answered(engine, history_of(60), stages)
    assert len(engine.asked) == tried + 1


async def test_who_wants_an_error_is_given_one():
    engine = Refusing()
    with pytest.raises(EngineError) as caught:
        await answered(engine, history_of(60), on_overflow=Overflow.ERROR)
    assert (caught.value.code, len(engine.asked)) == (ErrorCode.CONTEXT_LENGTH_EXCEEDED, 1)


async def test_a_question_that_is_too_long_by_itself_is_refused():
    engine = Refusing()
    history = History(turns=[Numbered(1, Turn("Hi", "word " * 400))])
    with pytest.raises(EngineError):
        await answered(engine, history, system="word " * 400)
    assert len(engine.asked) == 2


@pytest.mark.parametrize("tells", [True, False])
def test_what_is_learned_is_always_less(tells):
    windows, engine = Windows(), Refusing()
    messages = history_of(60).messages
    limit, actual = (300, 1_000) if tells else (None, None)
    refusal = EngineError(Stage.LLM, "no", code=ErrorCode.CONTEXT_LENGTH_EXCEEDED, limit=limit, actual=actual)
    rooms = []
    for _ in range(6):
        assert windows.learn(engine, messages, refusal)
        window = cast("Window", windows.of(engine, reserved=50))
        rooms.append(window.tokens / window.scale)
    assert rooms == sorted(set(rooms), reverse=True)
    assert not windows.learn(engine, messages, EngineError(Stage.LLM, "no"))
