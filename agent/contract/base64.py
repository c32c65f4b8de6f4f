"""Base64 as callers really send it: to exactly the bytes that were meant, or to an error."""

from __future__ import annotations

import re

import pybase64

from agent.contract.errors import ContractError, ErrorCode

_DATA_URL = re.compile(r"\s*data:[^,]{0,200};base64,", re.IGNORECASE)
_WHITESPACE = " \t\r\n\f\v"
_URL_SAFE = b"-_"


def encode_base64(data: bytes) -> str:
    """Standard alphabet, padded, on one line."""
    return pybase64.b64encode(data).decode("ascii")


def decode_usual(written: bytes | memoryview | str) -> bytes | None:
    """What most send, in the standard alphabet and padded, with nothing else in it; None where it is not just that."""
    try:
        data: bytes = pybase64.b64decode(written, validate=True)
    except ValueError:
        return None
    last = _last(data)
    end = written[len(written) - len(last) :]
    return data if last == (end.encode() if isinstance(end, str) else end) else None


def decode_base64(text: str, *, field: str = "audio") -> bytes:
    """Accepts a `data:` prefix, line breaks, the URL-safe alphabet and missing padding; refuses the rest.

    Raises ContractError(unsupported_media) when the bytes would have to be guessed.
    """
    usual = decode_usual(text)  # to look for all else takes ten times as long as to decode it
    if usual is not None:
        return usual
    if prefix := _DATA_URL.match(text):
        text = text[prefix.end() :]
    if any(blank in text for blank in _WHITESPACE):  # translating takes ten times as long as decoding
        text = text.translate(dict.fromkeys(map(ord, _WHITESPACE)))
    text = text.rstrip("=")
    text += "=" * (-len(text) % 4)
    url_safe = ("-" in text or "_" in text) and not ("+" in text or "/" in text)
    alphabet = _URL_SAFE if url_safe else None
    try:
        data: bytes = pybase64.b64decode(text, altchars=alphabet, validate=True)
    except ValueError as exc:  # binascii.Error, or a character that is not ASCII
        raise _not_base64(str(exc), field) from exc
    if not text.endswith(_last(data, alphabet).decode()):
        raise _not_base64("it is cut off", field)
    return data


def _last(data: bytes, alphabet: bytes | None = None) -> bytes:
    """How the last characters of `data` are written; others have bits over, of a byte that did not arrive."""
    last: bytes = pybase64.b64encode(data[len(data) // 3 * 3 :], altchars=alphabet)
    return last


def _not_base64(why: str, field: str) -> ContractError:
    return ContractError(ErrorCode.UNSUPPORTED_MEDIA, f"{field} is not base64: {why}", field=field, reason="bad_base64")
