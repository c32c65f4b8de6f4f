"""Asks what a suite asks, each question in a conversation of its own, and judges the answers."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from agent.client import NoReply
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Request
from agent.contract.reply import ErrorBody, Reply
from agent.contract.sessions import SessionCall
from agent.contract.terms import Operation, ReplyMode, SessionOperation, Status
from agent.evaluation.answer import Answer
from agent.evaluation.judge import Failure, judge
from agent.evaluation.suite import Question, Suite, Turn


class Agent(Protocol):
    """Who is asked; an AgentClient is one."""

    async def ask(self, request: Request, *, operation: Operation = Operation.CHAT) -> Reply:
        """The terminal reply. Raises ContractError, NoReply."""

    async def converse(self, asked: SessionCall) -> Reply:
        """The reply to a call about conversations. Raises ContractError, NoReply."""

    def cancel(self, request_id: str) -> None:
        """Stops a request."""


@dataclass(frozen=True)
class Trial:
    """One question, to be asked once, in one configuration."""

    question: Question
    number: int
    """Which of the suite's questions it is, from 0."""
    configuration: str
    """Its name."""
    round: int
    """Which repetition, from 0."""


@dataclass(frozen=True)
class Outcome:
    """What came of a trial."""

    trial: Trial
    answers: tuple[Answer, ...]
    """To each turn, up to the first that is not as expected."""
    failure: Failure | None
    """Of the last answer; None where all are as expected."""


def trials(suite: Suite, configurations: Sequence[str], *, rounds: int) -> Iterator[Trial]:
    """Every question in every configuration, so many times."""
    for round_ in range(rounds):
        for number, question in enumerate(suite.questions):
            # Whoever is asked second may find the engine warm, or busy with what the first one left.
            order = configurations if (number + round_) % 2 == 0 else configurations[::-1]
            for configuration in order:
                yield Trial(question, number, configuration, round_)


async def evaluate(
    agent: Agent, suite: Suite, planned: Iterable[Trial], *, concurrency: int, tell: Callable[[Outcome], None]
) -> None:
    """Goes through the trials, so many at once, and tells of each outcome. OSError where a clip cannot be read."""
    room = asyncio.Semaphore(concurrency)

    async def go(trial: Trial) -> None:
        async with room:
            tell(await _outcome(agent, suite, trial))

    tasks = [asyncio.create_task(go(trial), name=f"trial[{trial.configuration}/{trial.number}]") for trial in planned]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _outcome(agent: Agent, suite: Suite, trial: Trial) -> Outcome:
    session_id = f"eval-{uuid.uuid4().hex}"
    answers: list[Answer] = []
    failure: Failure | None = None
    for turn in trial.question.turns:
        expected = suite.expected(trial.question, turn)
        request = _request(suite, trial, turn, session_id=session_id, heard=expected.spoken is not None)
        answers.append(await _answer(agent, request, echo=expected.spoken is not None))
        if failure := judge(answers[-1], expected):
            break
    with suppress(ContractError, NoReply):  # then it is forgotten in a day
        await agent.converse(SessionCall(op=SessionOperation.DELETE, session_id=session_id))
    return Outcome(trial, tuple(answers), failure)


def _request(suite: Suite, trial: Trial, turn: Turn, *, session_id: str, heard: bool) -> Request:
    fields = suite.manner(trial.configuration, trial.question, turn)
    request = Request.model_validate({**fields, **turn.question, "session_id": session_id})
    if heard and not request.reply_mode.heard:
        return request.model_copy(update={"reply_mode": ReplyMode.BOTH})
    return request


async def _answer(agent: Agent, request: Request, *, echo: bool) -> Answer:
    asked = time.monotonic()
    reply = await _reply(agent, request, Operation.CHAT)
    elapsed_ms = 1_000 * (time.monotonic() - asked)
    heard_back = None
    if echo and reply.audio and reply.audio.data:
        clip = Request(audio=reply.audio.data, language=request.language)
        transcript = (await _reply(agent, clip, Operation.TRANSCRIBE)).transcript
        heard_back = transcript.text if transcript else None
    return Answer(reply, elapsed_ms, heard_back)


async def _reply(agent: Agent, request: Request, operation: Operation) -> Reply:
    """The reply, also where nobody could be asked, or nothing is heard: that is an outcome like others."""
    request_id = uuid.uuid4().hex
    try:
        return await agent.ask(request.model_copy(update={"id": request_id}), operation=operation)
    except asyncio.CancelledError:
        agent.cancel(request_id)
        raise
    except ContractError as exc:
        return Reply(id=request_id, status=Status.ERROR, error=ErrorBody.of(exc), agent="")
    except NoReply as exc:
        error = ErrorBody(code=ErrorCode.EXPIRED, message=str(exc))
        return Reply(id=request_id, status=Status.EXPIRED, error=error, agent="")
