"""Clips in pieces: what is told while they arrive, how they end, what is refused, and that it is said once."""

import asyncio

import pytest

from agent.contract.errors import ContractError
from agent.contract.messages import Cancel
from agent.errors import Busy
from agent.uploads import recording
from tests.uploads.clock import HurriedLoop
from tests.uploads.parts import SAMPLES, Parts, moment, pause
from tests.wav_files import sine, wav

pytestmark = pytest.mark.anyio

FRAME = b"\1\2"


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio", {"loop_factory": HurriedLoop}


@pytest.fixture
async def make():
    """Gives the clips of an agent with other limits; whatever becomes of them, nobody goes on hearing them."""
    assert isinstance(asyncio.get_running_loop(), HurriedLoop)
    made: list[Parts] = []

    def _make(**options):
        made.append(Parts(**options))
        return made[-1]

    yield _make
    for parts in made:
        await parts.close()
        assert {hearing.closed for hearing in parts.hearings} <= {1}


@pytest.fixture
def parts(make):
    return make()


async def test_the_message_that_makes_it_whole_is_acknowledged_by_who_takes_it_on(parts):
    parts.start()
    parts.send("0", b"aabb")
    parts.send("end", {"chunks": 2})
    assert parts.mqtt.acked == parts.sent
    parts.send("1", b"cc")
    assert parts.mqtt.acked == parts.sent[:-1]
    await moment()
    assert (parts.clips(), parts.mqtt.acked) == ([b"aabbcc"], parts.sent)


async def test_an_end_that_names_no_number_means_what_was_heard_of(parts):
    parts.start()
    parts.send("1", b"cc")
    parts.send("end")
    await moment()
    assert parts.clips() == []
    parts.send("0", b"aabb")
    await moment()
    assert parts.clips() == [b"aabbcc"]


async def test_what_is_missing_is_told_after_a_moment_and_again(parts):
    parts.start()
    parts.send("2", FRAME)
    await pause(0.2)
    assert parts.nacks() == []
    await pause(2.2)
    assert parts.nacks() == [[0, 1]] * 3
    parts.send("0", FRAME)
    await pause(1)
    assert parts.nacks() == [[0, 1]] * 3 + [[1]]
    parts.send("1", FRAME)
    await pause(2)
    assert len(parts.nacks()) == 4


async def test_a_gap_that_closes_soon_is_not_told(parts):
    parts.start()
    for number in (1, 0, 3, 2):
        parts.send(str(number), FRAME)
        await pause(0.2)
    assert parts.nacks() == []


async def test_what_is_missing_at_the_end_is_told_at_once_and_no_more_than_enough(parts):
    parts.start()
    parts.send("0", FRAME)
    parts.send("end", {"chunks": 200})
    await pause(0.01)
    assert parts.nacks() == [list(range(1, 65))]


async def test_a_clip_that_does_not_go_on_ends_there(parts):
    parts.start()
    parts.send("0", b"aa")
    await pause(4.9)
    parts.send("1", b"bb")
    await pause(4.9)
    assert parts.clips() == []
    await pause(0.2)
    assert parts.clips() == [b"aabb"]


async def test_what_is_missing_for_good_is_named(parts):
    parts.start()
    for number in (0, 3):
        parts.send(str(number), FRAME)
    await pause(5.1)
    [reply] = parts.replies("7")
    assert reply["status"] == "expired"
    assert (reply["error"]["code"], reply["error"]["reason"]) == ("expired", "chunks_missing")
    assert reply["error"]["message"].endswith(": 1, 2")


async def test_a_copy_of_a_piece_does_not_keep_a_clip_open(parts):
    parts.start()
    for _ in range(4):
        parts.send("0", b"aa")
        await pause(1.5)
    assert parts.clips() == [b"aa"]


@pytest.mark.parametrize("data", [b"", b"aa"])
async def test_a_clip_that_goes_on_for_ever_ends(make, data):
    parts = make(max_upload_s=10.0)
    parts.start()
    for number in range(5):
        parts.send(str(number), data)
        await pause(2.9)
    assert parts.uploads.is_open(("demo", "7"))
    parts.send("5", data)
    await pause(0.6)
    assert not parts.uploads.is_open(("demo", "7"))
    assert len(parts.clips()) + len(parts.errors("7")) == 1


@pytest.mark.parametrize("fields", [{}, {"format": "wav", "sample_rate": None}])
async def test_a_clip_of_which_nothing_came_is_empty(parts, fields):
    parts.start(**fields)
    await pause(5.1)
    assert parts.errors("7") == [("no_speech", "empty_audio")]


async def test_what_is_no_wav_is_refused_and_what_follows_is_passed_over(parts):
    parts.start(format="wav", sample_rate=None)
    parts.send("0", b"this is no WAV file at all")
    await moment()
    parts.send("1", b"nor is this")
    parts.send("end")
    await pause(10)
    assert parts.errors() == [("unsupported_media", "not_wav")]
    assert parts.mqtt.acked == parts.sent


async def test_a_clip_that_grows_too_long_is_refused_then(make):
    parts = make(max_upload_s=1.0)
    parts.start()
    parts.send("0", bytes(8_000))
    parts.send("1", bytes(8_000))
    await moment()
    assert parts.replies() == []
    parts.send("2", FRAME)
    await moment()
    [reply] = parts.replies()
    assert (reply["error"]["code"], reply["error"]["limit"]) == ("audio_too_long", 1.0)


async def test_a_piece_that_is_too_large_ends_the_clip(parts):
    parts.start()
    parts.send("0", bytes(65_537))
    await moment()
    parts.send("1", FRAME)
    await pause(10)
    [reply] = parts.replies()
    assert (reply["error"]["code"], reply["error"]["limit"]) == ("payload_too_large", 65_536)


@pytest.mark.parametrize("payload", [b"{", b'{"pieces": 3}', b'{"chunks": -1}', b" " * 1_025])
async def test_an_end_that_cannot_be_read_ends_the_clip(parts, payload):
    parts.start()
    parts.send("0", FRAME)
    parts.send("end", payload)
    await moment()
    assert [code for code, _ in parts.errors()] in (["bad_request"], ["payload_too_large"])
    assert parts.mqtt.acked == parts.sent


async def test_a_start_that_cannot_be_read_says_so_once(parts):
    with pytest.raises(ContractError) as caught:
        parts.send("start", {"sample_rate": 8_000})
    assert caught.value.code.value == "bad_request"
    parts.send("0", FRAME)
    await pause(10)
    assert parts.replies() == []


async def test_the_id_is_the_topics(parts):
    parts.start(id="7")
    with pytest.raises(ContractError) as caught:
        parts.start(of="8", id="9")
    assert (caught.value.code.value, caught.value.field) == ("bad_request", "id")


async def test_the_same_start_again_changes_nothing_another_is_a_conflict(parts):
    parts.start()
    parts.send("0", b"aa")
    parts.start()
    parts.start(language="de")
    parts.send("end", {"chunks": 1})
    await moment()
    assert (parts.errors(), parts.clips()) == ([("conflict", None)], [b"aa"])


async def test_the_end_of_speech_ends_it_and_what_follows_is_passed_over(parts, monkeypatch):
    class FakeEndpointer:
        """Speech ends with the third sample."""

        def __init__(self, sample_rate, *, end_silence_ms):
            assert (sample_rate, end_silence_ms) == (8_000, 500)
            self.heard = 0

        def feed(self, audio):
            self.heard += len(audio.samples)
            return self.heard >= 3

    monkeypatch.setattr(recording, "Endpointer", FakeEndpointer)
    parts.start(end_silence_ms=500)
    for number, data in enumerate((b"aabb", b"ccdd", b"eeff")):
        parts.send(str(number), data)
        await moment()
    parts.send("end", {"chunks": 3})
    await pause(10)
    assert (parts.clips(), parts.replies()) == ([b"aabbccdd"], [])
    assert parts.mqtt.acked == parts.sent


async def test_it_is_heard_while_it_arrives(parts):
    parts.start()
    parts.send("0", b"aabb")
    await moment()
    [hearing] = parts.hearings
    assert hearing.samples == 2
    parts.send("end")
    await moment()
    [live] = parts.reception.lives
    assert (live.hearing, hearing.closed) == (hearing, 0)


async def test_who_was_answered_before_needs_no_hearing(parts):
    parts.reception.replays = True
    parts.start()
    parts.send("end", b"")
    parts.start(of="8")
    parts.send("0", FRAME, of="8")
    parts.send("end", of="8")
    await moment()
    assert [hearing.closed for hearing in parts.hearings] == [1, 1]


async def test_a_clip_that_is_not_taken_on_is_refused_and_acknowledged(parts):
    parts.reception.refusal = Busy("there is enough to do", retry_after_ms=100, limit=1)
    parts.start()
    parts.send("0", FRAME)
    parts.send("end")
    await moment()
    assert (parts.errors(), parts.mqtt.acked) == ([("busy", None)], parts.sent)
    assert parts.hearings[0].closed == 1


async def test_what_comes_before_its_start_is_kept_a_moment(parts):
    parts.send("0", b"aa")
    parts.send("1", b"bb")
    await pause(0.5)
    parts.start()
    parts.send("end", {"chunks": 2})
    await moment()
    assert (parts.clips(), parts.mqtt.acked) == ([b"aabb"], parts.sent)


async def test_what_makes_it_whole_before_its_start_is_acknowledged_by_who_takes_it_on(parts):
    parts.send("0", b"aa")
    parts.send("end", {"chunks": 1})
    assert parts.mqtt.acked == parts.sent[:1]
    parts.start()
    assert parts.mqtt.acked == [parts.sent[0], parts.sent[2]]
    await moment()
    assert (parts.clips(), len(parts.mqtt.acked)) == ([b"aa"], 3)


async def test_of_what_comes_before_its_start_little_is_left_unacknowledged(parts):
    for of in range(20):
        for _ in range(2):
            parts.send("0", FRAME, of=str(of))
    assert len(parts.sent) - len(parts.mqtt.acked) == 8
    await pause(1.1)
    assert sorted(message.mid for message in parts.mqtt.acked) == [message.mid for message in parts.sent]
    parts.send("0", FRAME, of="other")
    assert len(parts.sent) - len(parts.mqtt.acked) == 1


async def test_an_agent_that_stops_leaves_what_came_before_its_start_to_the_next(parts):
    parts.send("0", FRAME)
    parts.uploads.stop()
    await pause(3)
    assert (parts.mqtt.acked, parts.replies()) == ([], [])


async def test_who_sends_pieces_without_a_start_is_told_once(parts):
    for number in range(30):
        parts.send(str(number), FRAME)
        await pause(0.2)
    [reply] = parts.replies("7")
    assert (reply["error"]["code"], reply["error"]["reason"], reply["error"]["retriable"]) == (
        "not_found",
        "no_upload",
        True,
    )
    assert "field" not in reply["error"], "a requester would take it for the answer to a cancel"
    parts.start()
    parts.send("0", b"zz")
    parts.send("end")
    await moment()
    assert parts.clips() == [b"zz"], "it begins again"


async def test_a_clip_that_was_taken_on_before_comes_again_unheard(parts):
    parts.reception.known.add(("demo", "7"))
    parts.start()
    parts.send("0", b"aabb")
    parts.send("end")
    await moment()
    assert (parts.clips(), parts.hearings) == ([b"aabb"], [])


async def test_a_start_that_arrives_too_late_is_expired(parts):
    parts.send("start", SAMPLES, expiry_s=0)
    parts.send("0", FRAME)
    await pause(3)
    assert parts.errors() == [("expired", None)]


async def test_pieces_of_what_was_taken_on_before_the_agent_was_restarted_are_passed_over(parts):
    parts.reception.known.add(("demo", "7"))
    parts.send("8", FRAME)
    parts.send("end")
    await pause(10)
    assert (parts.replies(), parts.mqtt.acked) == ([], parts.sent)


async def test_a_start_that_the_broker_delivers_again_begins_nothing_anew(parts):
    parts.start()
    parts.send("0", FRAME)
    parts.send("end")
    await moment()
    parts.send("start", {"format": "pcm_s16le", "sample_rate": 8_000}, redelivered=True)
    await pause(10)
    assert (len(parts.clips()), parts.replies()) == (1, [])


async def test_so_many_clips_of_one_client_and_no_more(make):
    parts = make(max_uploads_per_client=2, trusted=("bridge",))
    for client in ("demo", "bridge"):
        for of in "123":
            parts.start(of=of, client=client)
    parts.start(of="4", client="other")
    [reply] = parts.replies()
    assert (reply["id"], reply["error"]["code"], reply["error"]["queue_depth"]) == ("3", "busy", 2)
    assert reply["error"]["retry_after_ms"] > 0
    parts.send("0", FRAME, of="3")
    await pause(3)
    assert len(parts.replies()) == 1


async def test_so_many_clips_of_all_and_no_more(make):
    parts = make(max_uploads=1)
    parts.start()
    parts.start(client="other")
    assert parts.errors() == [("busy", None)]
    parts.send("end")
    await moment()
    parts.start(of="9", client="other")
    assert parts.errors("9") == []


async def test_so_many_bytes_of_all_clips_and_no_more(make):
    parts = make(max_queued_bytes=10_000)
    parts.start(of="1")
    parts.start(of="2")
    parts.send("0", bytes(6_000), of="1")
    parts.send("0", bytes(6_000), of="2")
    await moment()
    assert parts.errors() == [("busy", None)]
    parts.send("1", bytes(6_000), of="1")
    await moment()
    assert parts.errors("1") == [("payload_too_large", None)]
    await parts.close()


@pytest.mark.parametrize("asked", [Cancel(id="7"), Cancel(session_id="hall"), Cancel(all=True)])
async def test_a_cancel_ends_what_it_means(parts, asked):
    parts.start(session_id="hall")
    parts.start(of="8", session_id="kitchen")
    parts.start(client="other", session_id="hall")
    parts.send("0", FRAME)
    meant = 2 if asked.all else 1
    assert parts.uploads.cancel("demo", asked) == meant
    await moment()
    assert parts.errors() == [("cancelled", "caller")] * meant
    assert parts.replies("7")[0]["status"] == "cancelled"
    parts.send("1", FRAME)
    await pause(3)
    assert len(parts.replies("7")) == 1


async def test_a_device_that_is_gone_says_no_more(parts):
    parts.start()
    parts.start(of="8", client="other")
    assert parts.uploads.cancel_of_offline("demo") == 1
    await moment()
    assert parts.errors() == [("cancelled", "client_offline")]


async def test_a_new_question_ends_the_one_that_is_being_asked(parts):
    parts.start(session_id="hall")
    parts.start(of="8", session_id="kitchen")
    parts.start(of="9", session_id="hall", barge_in=True)
    await moment()
    assert (parts.errors("7"), parts.errors("8"), parts.errors("9")) == ([("cancelled", "barge_in")], [], [])
    assert parts.reception.barged == [("demo", "9")]


async def test_an_agent_that_stops_has_clips_begin_again_and_leaves_the_rest_to_the_next(parts):
    parts.start()
    parts.send("0", FRAME)
    parts.uploads.stop()
    await moment()
    assert parts.errors() == [("not_found", "no_upload")]
    parts.send("1", FRAME)
    assert parts.mqtt.acked == parts.sent
    parts.start(of="8")
    parts.send("0", FRAME, of="8")
    parts.start()
    parts.send("0", FRAME)
    await moment()
    assert parts.mqtt.acked == parts.sent[:-4]
    assert len(parts.replies()) == 1


async def test_a_large_clip_comes_whole(parts):
    clip = wav(sine(seconds=30.0, rate=16_000), rate=16_000)
    parts.start(format="wav", sample_rate=None)
    pieces = [clip[at : at + 65_536] for at in range(0, len(clip), 65_536)]
    for number in reversed(range(len(pieces))):
        parts.send(str(number), pieces[number])
    parts.send("end", {"chunks": len(pieces)})
    while not parts.reception.taken:
        await moment()
    assert parts.reception.taken[0].clip == clip
