"""Topics: what is built is understood again, and nothing strange gets in or out."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.terms import MAX_ID_CHARS, Operation, ReplyMode, is_id
from agent.contract.topics import MAX_TOPIC_BYTES, Address, Topics

pytestmark = pytest.mark.once

TOPICS = Topics()
ROOT = "edgevoice/v1/orin"
ID_CHARACTERS = string.ascii_letters + string.digits + "_.-"

ids = st.text(ID_CHARACTERS, min_size=1, max_size=MAX_ID_CHARS)
topics = st.builds(Topics, base=st.sampled_from(["edgevoice/v1", "ev", "home/voice/v1"]), agent=ids)
hostile = st.text() | st.lists(st.sampled_from(["", "#", "+", "..", "a", "wav", "chat", "\0", "$SYS", "é"])).map(
    "/".join
)

NOT_IDS = {
    "empty": "",
    "too long": "x" * (MAX_ID_CHARS + 1),
    "slash": "a/b",
    "plus": "a+b",
    "hash": "a#",
    "dollar": "$SYS",
    "NUL": "a\0b",
    "blank": "a b",
    "newline at the end": "abc\n",
    "emoji": "\N{MICROPHONE}",
    "accent": "é",
    "digit of another script": "\N{ARABIC-INDIC DIGIT ONE}",
    "half a surrogate pair": "a\ud800",
    "right to left": "a\N{RIGHT-TO-LEFT OVERRIDE}b",
}


class TestIdentifiers:
    @given(ids)
    @example("x" * MAX_ID_CHARS)
    @example("..")
    def test_are_letters_digits_and_three_signs(self, text):
        assert is_id(text)

    @pytest.mark.parametrize("text", NOT_IDS.values(), ids=NOT_IDS)
    def test_are_nothing_else(self, text):
        assert not is_id(text)

    @given(st.text())
    def test_of_any_text(self, text):
        assert is_id(text) == (1 <= len(text) <= MAX_ID_CHARS and set(text) <= set(ID_CHARACTERS))


class TestRequests:
    @given(topics, ids, st.sampled_from(Operation))
    def test_what_is_built_is_understood(self, topics, client, operation):
        assert topics.parse_request(topics.request(client, operation)) == Address(client, operation)

    @given(topics, ids, ids, st.sampled_from(ReplyMode))
    def test_so_is_a_plain_wav(self, topics, client, request_id, mode):
        address = topics.parse_request(topics.wav(client, request_id, mode))

        assert address == Address(client, Operation.CHAT, request_id, mode)

    @pytest.mark.parametrize("client", [text for text in NOT_IDS.values() if "/" not in text], ids=ascii)
    def test_a_strange_client_is_refused(self, client):
        assert refusal(f"{ROOT}/request/{client}/chat").code is ErrorCode.BAD_REQUEST

    @pytest.mark.parametrize("request_id", [text for text in NOT_IDS.values() if "/" not in text], ids=ascii)
    def test_a_strange_id_is_refused(self, request_id):
        error = refusal(f"{ROOT}/request/kitchen/wav/{request_id}/text")

        assert (error.code, error.field, error.reason) == (ErrorCode.BAD_REQUEST, "id", "bad_id")

    @pytest.mark.parametrize("mode", ["", "loud", "TEXT", "text\n"])
    def test_a_strange_reply_mode_is_refused(self, mode):
        error = refusal(f"{ROOT}/request/kitchen/wav/1/{mode}")

        assert (error.code, error.field) == (ErrorCode.BAD_REQUEST, "reply_mode")

    @pytest.mark.parametrize("rest", ["", "dance", "Chat", "chat/", "chat/1", "wav", "wav/1", "wav/1/text/x", "/chat"])
    def test_an_unknown_operation_is_not_found(self, rest):
        assert refusal(f"{ROOT}/request/kitchen/{rest}").code is ErrorCode.NOT_FOUND

    @pytest.mark.parametrize(
        "topic",
        [
            "kitchen/chat",
            "edgevoice/v1/other/request/kitchen/chat",
            f"{ROOT}/reply/kitchen/chat",
            f"x/{ROOT}/request/kitchen/chat",
        ],
    )
    def test_a_topic_of_somebody_else_is_refused(self, topic):
        refusal(topic)

    @given(hostile)
    def test_any_topic_is_understood_or_refused(self, rest):
        for topic in (rest, f"{ROOT}/request/{rest}", f"{ROOT}/request/kitchen/{rest}"):
            try:
                address = TOPICS.parse_request(topic)
            except ContractError as refused:
                assert len(refused.message) < 500  # noqa: PT017 - both outcomes are right
            else:
                assert is_id(address.client)


def refusal(topic: str) -> ContractError:
    with pytest.raises(ContractError) as refused:
        TOPICS.parse_request(topic)
    return refused.value


class TestReplies:
    @given(topics, ids, ids)
    def test_what_is_built_is_understood(self, topics, client, request_id):
        assert topics.parse_reply(topics.reply(client, request_id)) == (client, request_id)

    @given(topics, ids, ids)
    def test_an_event_is_no_terminal_reply(self, topics, client, request_id):
        assert topics.parse_reply(topics.event(topics.reply(client, request_id))) is None

    @pytest.mark.parametrize("topic", ["a/b", f"{ROOT}/request/a/b", "edgevoice/v1/other/reply/a/b", ROOT])
    def test_a_topic_of_somebody_else_is_none(self, topic):
        assert TOPICS.parse_reply(topic) is None

    @given(hostile)
    def test_any_topic_is_understood_or_none(self, rest):
        TOPICS.parse_reply(rest)
        TOPICS.parse_reply(f"{ROOT}/reply/{rest}")


class TestOwnership:
    MINE = f"{ROOT}/reply/kitchen/"

    @given(topics, ids, ids)
    def test_a_caller_owns_its_own_replies_and_nobody_elses(self, topics, client, request_id):
        own = topics.reply(client, request_id)

        assert topics.owns_reply(client, own)
        assert not topics.owns_reply(client + "x", own)

    @pytest.mark.parametrize("topic", [MINE + "1", MINE + "a/b/c", MINE + "..", MINE + "Küche \N{MICROPHONE}"])
    def test_anything_below_the_own_prefix(self, topic):
        assert TOPICS.owns_reply("kitchen", topic)

    @pytest.mark.parametrize(
        "topic",
        [
            "",
            "#",
            "home/light",
            "$CONTROL/dynamic-security/v1",
            MINE,
            MINE.rstrip("/"),
            f"{ROOT}/reply/kitchen2/1",
            f"{ROOT}/reply/Kitchen/1",
            f"{ROOT}/request/kitchen/chat",
            f"{ROOT}/status",
            f" {MINE}1",
            f"/{MINE}1",
            MINE + "+",
            MINE + "a/#",
            MINE + "a+b",
            MINE + "x" * MAX_TOPIC_BYTES,
            MINE + "é" * (MAX_TOPIC_BYTES // 2),
        ],
    )
    def test_nothing_else(self, topic):
        assert not TOPICS.owns_reply("kitchen", topic)

    @pytest.mark.parametrize("character", ["\0", "\x01", "\n", "\x7f", "\x85", "\ud800", "\ufdd0", "\ufffe"], ids=ascii)
    def test_nothing_for_which_a_broker_hangs_up(self, character):
        assert not TOPICS.owns_reply("kitchen", self.MINE + character)

    def test_a_configured_prefix_is_everyones(self):
        assert TOPICS.owns_reply("kitchen", "home/answers/1", ("home/answers",))
        assert TOPICS.owns_reply("kitchen", "home/answers/1", ("home/answers/",))
        assert not TOPICS.owns_reply("kitchen", "home/answers", ("home/answers",))
        assert not TOPICS.owns_reply("kitchen", "home/answers2/1", ("home/answers",))

    @given(ids, hostile)
    def test_never_what_lies_outside(self, client, rest):
        for topic in (rest, f"{ROOT}/{rest}", f"{ROOT}/reply/{rest}", f"{ROOT}/reply/{client}/{rest}"):
            if TOPICS.owns_reply(client, topic):
                assert topic.startswith(f"{ROOT}/reply/{client}/")
                assert len(topic.encode()) <= MAX_TOPIC_BYTES
                assert not set(topic) & set("+#\0\n")


class TestPresence:
    @given(topics, ids)
    def test_a_devices_topic_says_who_it_is(self, topics, client):
        assert topics.parse_client_status(topics.client_status(client)) == client

    @given(hostile)
    def test_no_other_topic_does(self, rest):
        for topic in (rest, f"edgevoice/v1/clients/{rest}", f"{ROOT}/request/{rest}", f"other/clients/{rest}/status"):
            client = TOPICS.parse_client_status(topic)
            assert client is None or topic == TOPICS.client_status(client)
            assert client is None or is_id(client)


class TestTemplates:
    @given(topics, ids)
    def test_a_templates_topic_says_its_name(self, topics, name):
        assert topics.parse_template(topics.template(name)) == name

    @given(hostile)
    def test_no_other_topic_does(self, rest):
        for topic in (rest, f"{ROOT}/template/{rest}", f"{ROOT}/request/{rest}", f"other/orin/template/{rest}"):
            name = TOPICS.parse_template(topic)
            assert name is None or topic == TOPICS.template(name)


def test_the_filters_cover_what_is_built():
    assert TOPICS.template("brief").startswith(TOPICS.all_templates.removesuffix("+"))
    assert TOPICS.request("kitchen", Operation.CHAT).startswith(TOPICS.all_requests.removesuffix("#"))
    assert TOPICS.wav("kitchen", "1", ReplyMode.TEXT).startswith(TOPICS.all_requests.removesuffix("#"))
    assert TOPICS.event(TOPICS.reply("kitchen", "1")).startswith(TOPICS.all_replies("kitchen").removesuffix("#"))


def test_the_retained_topics():
    assert [TOPICS.status, TOPICS.info, TOPICS.state] == [f"{ROOT}/status", f"{ROOT}/info", f"{ROOT}/state"]
