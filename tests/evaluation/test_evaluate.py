"""Questions are asked apart from each other, judged, and added up."""

import asyncio
import json

import pytest
from rich.console import Console

from agent.client import NoReply
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.reply import Timings, Usage
from agent.contract.terms import Operation, ReplyMode, SessionOperation
from agent.evaluation.evaluate import Outcome, Trial, evaluate, trials
from agent.evaluation.judge import Failure
from agent.evaluation.report import as_json, differences, questions_table, summary_table
from agent.evaluation.suite import Suite
from agent.evaluation.summary import Summary
from tests.evaluation.answers import answer, reply

pytestmark = pytest.mark.anyio


class FakeAgent:
    """Answers with what `say` makes of a request, a reply or an exception."""

    def __init__(self, say):
        self.say = say
        self.asked = []
        self.deleted = []
        self.cancelled = []
        self.began = asyncio.Event()
        self.hold = None
        """An event without which nobody is answered."""

    async def ask(self, request, *, operation=Operation.CHAT):
        self.asked.append((operation, request))
        self.began.set()
        if self.hold:
            await self.hold.wait()
        said = self.say(request) if operation is Operation.CHAT else reply(heard=request.audio)
        if isinstance(said, Exception):
            raise said
        return said

    async def converse(self, asked):
        assert asked.op is SessionOperation.DELETE
        self.deleted.append(asked.session_id)
        return reply()

    def cancel(self, request_id):
        self.cancelled.append(request_id)


def suite_of(*questions, **fields):
    return Suite.model_validate_json(json.dumps({"questions": questions, **fields}))


async def evaluated(agent, suite, configurations=("defaults",), *, rounds=1, concurrency=1):
    outcomes: list[Outcome] = []
    planned = trials(suite, configurations, rounds=rounds)
    await evaluate(agent, suite, planned, concurrency=concurrency, tell=outcomes.append)
    return outcomes


async def test_each_question_has_a_conversation_of_its_own_that_is_deleted_then():
    agent = FakeAgent(lambda request: reply(request.text))
    suite = suite_of({"ask": "One"}, {"conversation": [{"ask": "Two"}, {"ask": "Three"}]})
    outcomes = await evaluated(agent, suite)
    sessions = [request.session_id for _, request in agent.asked]
    assert [request.text for _, request in agent.asked] == ["One", "Two", "Three"]
    assert len(set(sessions)) == 2
    assert sessions[1] == sessions[2]
    assert agent.deleted == [sessions[0], sessions[2]]
    assert len({request.id for _, request in agent.asked}) == 3
    assert [outcome.failure for outcome in outcomes] == [None, None]


async def test_a_conversation_ends_with_the_first_answer_that_is_not_as_expected():
    agent = FakeAgent(lambda request: reply(request.text))
    turns = [{"ask": "One"}, {"ask": "Two", "expect": {"contains": "2"}}, {"ask": "Three"}]
    [outcome] = await evaluated(agent, suite_of({"conversation": turns}))
    assert outcome.failure == Failure("contains", "“2” is missing")
    assert [one.text for one in outcome.answers] == ["One", "Two"]
    assert len(agent.deleted) == 1


async def test_everything_is_asked_in_each_configuration_so_many_times():
    agent = FakeAgent(lambda request: reply(request.system))
    suite = suite_of({"ask": "One"}, {"ask": "Two"}, configurations={"a": {"system": "A"}, "b": {"system": "B"}})
    outcomes = await evaluated(agent, suite, ("a", "b"), rounds=2, concurrency=3)
    tried = [(outcome.trial.round, outcome.trial.number, outcome.trial.configuration) for outcome in outcomes]
    assert sorted(tried) == [(round_, number, name) for round_ in (0, 1) for number in (0, 1) for name in "ab"]
    assert all(outcome.answers[0].text == outcome.trial.configuration.upper() for outcome in outcomes)
    order = [trial.configuration for trial in trials(suite, "ab", rounds=1)]
    assert order == ["a", "b", "b", "a"], "none is always the second to be asked"


async def test_what_is_spoken_is_sent_back_and_what_is_not_is_not():
    agent = FakeAgent(lambda request: reply("One two", speech="AAAA" if request.reply_mode.heard else None))
    spoken = {"spoken": {"max_word_errors": 0}}
    outcomes = await evaluated(agent, suite_of({"ask": "x", "language": "en", "expect": spoken}, {"ask": "y"}))
    assert [operation for operation, _ in agent.asked] == [Operation.CHAT, Operation.TRANSCRIBE, Operation.CHAT]
    [asked, echo, _] = [request for _, request in agent.asked]
    assert asked.reply_mode is ReplyMode.BOTH
    assert (echo.audio, echo.language) == ("AAAA", "en")
    assert outcomes[0].answers[0].heard_back == "AAAA"
    assert outcomes[0].failure
    assert outcomes[0].failure.expected == "spoken"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (ContractError(ErrorCode.PAYLOAD_TOO_LARGE, "too much"), "payload_too_large: too much"),
        (NoReply("1", 2.0), "expired: no reply to 1 within 2 s"),
    ],
)
async def test_a_question_that_cannot_be_asked_is_a_failed_one(said, why):
    [outcome] = await evaluated(FakeAgent(lambda _: said), suite_of({"ask": "Hi"}))
    assert outcome.failure == Failure("answered", why)


async def test_no_more_are_asked_at_once_than_wanted_and_what_is_stopped_is_cancelled():
    agent = FakeAgent(lambda _: reply("x"))
    agent.hold = asyncio.Event()
    outcomes: list[Outcome] = []
    suite = suite_of(*({"ask": str(number)} for number in range(5)))
    planned = trials(suite, ["defaults"], rounds=1)
    running = asyncio.create_task(evaluate(agent, suite, planned, concurrency=2, tell=outcomes.append))
    await agent.began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert outcomes == []
    assert [request.id for _, request in agent.asked] == agent.cancelled
    assert len(agent.cancelled) == 2


def outcome(suite, number, configuration, *, why=None, round_=0, **fields):
    trial = Trial(suite.questions[number], number, configuration, round_)
    failure = Failure("contains", why) if why else None
    return Outcome(trial, (answer("It is\nthree.", **fields),), failure)


SUITE = suite_of({"ask": "One?"}, {"ask": "Two [b]?"})


def test_figures_are_those_of_the_answers_that_came():
    figures = {
        "usage": Usage(prompt_tokens=10, completion_tokens=30),
        "timings_ms": Timings(llm_first_token=5, llm=500),
    }
    came = [outcome(SUITE, 0, "a", elapsed_ms=float(ms), **figures) for ms in range(1, 101)]
    failed = outcome(SUITE, 1, "a", why="no", error=ErrorCode.BUSY, elapsed_ms=1e9)
    summary = Summary.of([*came, failed])
    assert (summary.asked, summary.passed, summary.rate) == (101, 100, 100 / 101)
    assert (summary.median_ms, summary.p95_ms, summary.first_token_ms) == (50.5, 95.0, 5)
    assert (summary.prompt_tokens, summary.completion_tokens, summary.tokens_per_s) == (1_000, 3_000, 60.0)


def test_of_nothing_there_are_no_figures():
    summary = Summary.of([])
    assert (summary.rate, summary.median_ms, summary.p95_ms, summary.tokens_per_s) == (0.0, None, None, None)


def shown(*renderables, width=120):
    console = Console(width=width)
    with console.capture() as captured:
        console.print(*renderables)
    return captured.get()


def test_the_report_shows_configurations_side_by_side():
    outcomes = [
        outcome(SUITE, 0, "a"),
        outcome(SUITE, 0, "b"),
        outcome(SUITE, 1, "b", why="“2” is missing"),
        outcome(SUITE, 1, "b", round_=1),
        outcome(SUITE, 1, "a"),
        outcome(SUITE, 1, "a", round_=1),
    ]
    table = shown(questions_table(outcomes, ["a", "b"]))
    rows = [" ".join(line.split()) for line in table.splitlines()]
    assert "One? pass 100 ms pass 100 ms" in rows
    assert "≠ Two [b]? pass 2/2 100 ms FAIL 1/2 100 ms" in rows
    assert "contains: “2” is missing; it says “It is three.”" in " ".join(rows)
    assert (
        differences(outcomes, ["a", "b"]) == "≠ 1 of 2 questions pass in one configuration more often than in another."
    )
    assert differences(outcomes[:2], ["a", "b"]) == "The same questions pass in all configurations."
    assert differences(outcomes, ["a"]) is None
    summary = shown(summary_table({"a": Summary.of(outcomes[:1]), "b": Summary.of(outcomes[2:4])}))
    assert "passed 1 of 1 (100%) 1 of 2 (50%)" in " ".join(summary.split())


def test_the_report_of_an_evaluation_that_was_stopped_says_what_was_not_asked():
    assert "not asked" in shown(questions_table([outcome(SUITE, 0, "a")], ["a", "b"]))


def test_json_has_every_answer_but_its_sound():
    failed = outcome(SUITE, 1, "a", why="no", speech="AAAA", heard_back="it is free")
    told = json.loads(as_json([failed, outcome(SUITE, 0, "a")], {"a": Summary.of([failed])}))
    assert told["configurations"]["a"]["rate"] == 0
    assert [(one["question"], one["passed"]) for one in told["outcomes"]] == [("One?", True), ("Two [b]?", False)]
    last = told["outcomes"][1]
    assert last["failure"] == {"expected": "contains", "why": "no"}
    assert last["answers"] == [
        {
            "elapsed_ms": 100.0,
            "status": "ok",
            "text": "It is\nthree.",
            "finish_reason": "stop",
            "heard_back": "it is free",
        }
    ]
