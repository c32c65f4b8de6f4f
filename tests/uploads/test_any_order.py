"""Whatever is sent in whatever order: each clip that was begun has one outcome, and is what was sent."""

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.contract.messages import Cancel
from agent.errors import Busy
from tests.uploads.clock import HurriedLoop
from tests.uploads.parts import Parts

IDS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(0, 5)


def piece(of, number):
    """No two are the same."""
    return (f"{of}{number}" * (1 + number)).encode() * 2


class AnyOrder(RuleBasedStateMachine):
    """Three clips of one caller, who makes every mistake."""

    def __init__(self):
        super().__init__()
        self.loop = HurriedLoop()
        self.parts = self.loop.run_until_complete(self._begin())
        self.begun = dict.fromkeys("abc", 0)
        self.sent = {of: set[int]() for of in "abc"}

    async def _begin(self):
        return Parts(max_uploads_per_client=2, upload_idle_ms=5_000)

    def do(self, call, *args, **options):
        async def done():
            call(*args, **options)
            for _ in range(8):
                await asyncio.sleep(0)

        self.loop.run_until_complete(done())

    def open(self, of):
        return self.parts.uploads.is_open(("demo", of))

    @rule(of=IDS)
    def start(self, of):
        self.begun[of] += not self.open(of)
        self.do(self.parts.start, of=of)

    @rule(of=IDS, number=NUMBERS)
    def send(self, of, number):
        self.sent[of].add(number)
        self.do(self.parts.send, str(number), piece(of, number), of=of)

    @rule(of=IDS, chunks=st.none() | NUMBERS)
    def end(self, of, chunks):
        self.do(self.parts.send, "end", b"" if chunks is None else {"chunks": chunks}, of=of)

    @rule(of=IDS)
    def spoil(self, of):
        self.do(self.parts.send, "end", b"{", of=of)

    @rule(of=IDS)
    def cancel(self, of):
        self.do(self.parts.uploads.cancel, "demo", Cancel(id=of))

    @rule(of=IDS)
    def begin_anew(self, of):
        def both():
            self.parts.uploads.cancel("demo", Cancel(id=of))
            self.parts.start(of=of)

        self.begun[of] += 1
        self.do(both)

    @rule(seconds=st.sampled_from([0.3, 1.5, 6.0]))
    def wait(self, seconds):
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @precondition(lambda self: not self.parts.reception.refusal)
    @rule()
    def refuse(self):
        self.parts.reception.refusal = Busy("enough", retry_after_ms=1, limit=1)

    @precondition(lambda self: self.parts.reception.refusal)
    @rule(replays=st.booleans())
    def take(self, replays):
        self.parts.reception.refusal, self.parts.reception.replays = None, replays

    @invariant()
    def nothing_is_acknowledged_twice(self):
        mids = [message.mid for message in self.parts.mqtt.acked]
        assert len(mids) == len(set(mids))

    def teardown(self):
        self.loop.run_until_complete(asyncio.sleep(60))
        try:
            self._check()
        finally:
            self.loop.run_until_complete(self.parts.close())
            self.loop.close()
        assert all(hearing.closed == 1 for hearing in self.parts.hearings)

    def _check(self):
        for of, begun in self.begun.items():
            taken = [each for each in self.parts.reception.taken if each.key.id == of]
            refused = [error for error in self.parts.errors(of) if error != ("not_found", "no_upload")]
            assert len(taken) + len(refused) == begun
            for clip in (each.clip[44:] for each in taken):
                count = next(n for n in range(7) if b"".join(piece(of, i) for i in range(n)) == clip)
                assert set(range(count)) <= self.sent[of]
        assert {message.mid for message in self.parts.sent} == {message.mid for message in self.parts.mqtt.acked}


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyOrder = AnyOrder.TestCase
