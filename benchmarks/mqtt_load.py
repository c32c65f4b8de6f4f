"""Asks over MQTT."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import paho.mqtt.client as paho

from agent.contract.terms import Operation
from agent.contract.topics import Topics
from agent.mqtt.settings import MqttSettings
from agent.stack import DEMO_USER
from benchmarks.asking import PATIENCE_S, Block
from benchmarks.paho_client import QOS, subscribed
from benchmarks.questions import Question

_ID = re.compile(rb'"id":"([^"]+)"')


class MqttLoad:
    """A paho client, which asks from its network thread, where replies are booked, too.

    One that is not `tuned` asks like a program that awaits each reply, from another thread.
    """

    def __init__(self, topics: Topics, expected: bytes, *, tuned: bool) -> None:
        self._request_topic = topics.request(DEMO_USER, Operation.CHAT)
        self._expected = expected
        self._tuned = tuned
        self._asked_at: dict[bytes, float] = {}
        self._client: paho.Client
        self._question: Question
        self._block: Block
        self._lanes: int
        self._done: asyncio.Future[None]
        self._loop: asyncio.AbstractEventLoop

    @classmethod
    @contextmanager
    def connected(
        cls, settings: MqttSettings, topics: Topics, expected: bytes, *, tuned: bool = True
    ) -> Iterator[MqttLoad]:
        """A load on the agent, or the echo, of these topics; not `tuned`, by a client as it comes."""
        load = cls(topics, expected, tuned=tuned)
        with subscribed(settings, topics.all_replies(DEMO_USER), load._book, tuned=tuned) as load._client:
            yield load

    async def ask(self, question: Question, *, in_flight: int, seconds: float) -> Block:
        """As the port says."""
        self._loop = asyncio.get_running_loop()
        self._done = self._loop.create_future()
        self._question, self._lanes = question, in_flight
        self._block = Block(seconds, self._expected)
        for _ in range(in_flight):
            self._ask_one()
        await asyncio.wait_for(self._done, seconds + PATIENCE_S)
        return self._block

    def _ask_one(self) -> None:
        request_id = uuid.uuid4().hex.encode()
        request = self._question.encode(request_id)
        self._asked_at[request_id] = perf_counter()
        self._client.publish(self._request_topic, request, QOS)

    def _book(self, reply: bytes) -> None:
        found = _ID.search(reply)
        asked_at = self._asked_at.pop(found[1], None) if found else None
        if asked_at is None:
            return
        if self._block.book(asked_at, reply):
            if self._tuned:
                self._ask_one()
            else:
                self._loop.call_soon_threadsafe(self._ask_one)
            return
        self._lanes -= 1
        if not self._lanes:
            self._loop.call_soon_threadsafe(self._done.set_result, None)
