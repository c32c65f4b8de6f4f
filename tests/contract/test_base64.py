"""Base64 becomes exactly the bytes that were meant, or an error; never other bytes."""

from __future__ import annotations

import base64
import textwrap

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.contract.base64 import decode_base64, encode_base64
from agent.contract.errors import ContractError, ErrorCode

ALL_BYTES = bytes(range(256))
EITHER_ALPHABET = b"\xfb\xef\xff\xfe" * 3
"""Reads differently in the two alphabets."""

VARIANTS = {
    "plain": lambda data: base64.b64encode(data).decode(),
    "url-safe": lambda data: base64.urlsafe_b64encode(data).decode(),
    "no padding": lambda data: base64.b64encode(data).decode().rstrip("="),
    "url-safe, no padding": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
    "lines of MIME": lambda data: base64.encodebytes(data).decode(),
    "lines of Windows": lambda data: "\r\n".join(textwrap.wrap(base64.b64encode(data).decode(), 64)) + "\r\n",
    "blanks": lambda data: " \t" + " ".join(base64.b64encode(data).decode()) + "\v\f ",
    "data URL": lambda data: "data:audio/wav;base64," + base64.b64encode(data).decode(),
    "data URL with parameters": lambda data: "data:audio/wav;rate=8000;base64," + base64.b64encode(data).decode(),
    "data URL without type": lambda data: "data:;base64," + base64.b64encode(data).decode(),
    "data URL in capitals": lambda data: "DATA:audio/WAV;BASE64," + base64.b64encode(data).decode(),
    "data URL, url-safe": lambda data: "data:audio/wav;base64," + base64.urlsafe_b64encode(data).decode(),
}


def refusal(text: str) -> ContractError:
    with pytest.raises(ContractError) as refused:
        decode_base64(text, field="clip")
    return refused.value


@pytest.mark.parametrize("write", VARIANTS.values(), ids=VARIANTS)
@given(data=st.binary(max_size=100))
@example(data=ALL_BYTES)
@example(data=EITHER_ALPHABET)
def test_every_way_to_write_it_is_read(write, data):
    assert decode_base64(write(data)) == data


@given(st.binary())
def test_what_is_written_is_read(data):
    text = encode_base64(data)

    assert text == base64.b64encode(data).decode()
    assert decode_base64(text) == data


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "QUJDR",
        "QUI=QUI=",
        "Q=Q=",
        "QU.JD",
        "QU\0JD",
        "QUJD!",
        "QU\xa0JD",
        "QUJD\u2028",
        "\uff31\uff35\uff2a\uff24",
        "\ud800QUJ",
        "+_-/",
        "data:audio/wav,QUJD",
        "data:audio/wav;base64",
        "data:base64;audio/wav,QUJD",
        "https://example.com/clip.wav",
        "{}",
    ],
    ids=ascii,
)
def test_refuses_what_would_have_to_be_guessed(text):
    error = refusal(text)

    assert (error.code, error.reason, error.field) == (ErrorCode.UNSUPPORTED_MEDIA, "bad_base64", "clip")
    assert error.message.startswith("clip is not base64: ")


@pytest.mark.parametrize("text", ["QR==", "QR", "QUJDQUJ", "-_-"], ids=ascii)
def test_refuses_what_was_cut_off_inside_a_byte(text):
    assert "cut off" in refusal(text).message


def test_a_long_url_is_no_longer_for_being_refused():
    assert len(refusal("data:" + "x" * 100_000).message) < 200


@given(st.text(alphabet=st.sampled_from("AQz09+/-_= \n\t.,:;\0é") | st.characters()))
def test_any_text_is_exactly_some_bytes_or_an_error(text):
    try:
        data = decode_base64(text)
    except ContractError as refused:
        assert refused.reason == "bad_base64"  # noqa: PT017 - both outcomes are right
    else:
        meant = "".join(text.split()).rstrip("=")
        assert meant in {
            base64.b64encode(data).decode().rstrip("="),
            base64.urlsafe_b64encode(data).decode().rstrip("="),
        }


@given(data=st.binary(min_size=1, max_size=60), position=st.integers(0), character=st.sampled_from("+/-_=.! é\0"))
def test_a_foreign_character_is_never_dropped(data, position, character):
    text = base64.b64encode(data).decode().rstrip("=")
    position %= len(text)
    try:
        found = decode_base64(text[:position] + character + text[position:])
    except ContractError:
        return
    assert character in " +/-_"
    assert character != " " or found == data
