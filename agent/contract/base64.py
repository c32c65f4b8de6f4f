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


def decode_base64(text: str, *, field: str = "audio") -> bytes:
    """Accepts a `data:` prefix, line breaks, the URL-safe alphabet and missing padding; refuses the rest.

    Raises ContractError(unsupported_media) when the bytes would have to be guessed.
    """
    if prefix := _DATA_URL.match(text):
        text = text[prefix.end() :]
    if any(blank in text for blank in _WHITESPACE):  # translating takes ten times as long as decoding
        text = text.translate(dict.fromkeys(map(ord, _WHITESPACE)))
    text = text.rstrip("=")
    url_safe = ("-" in text or "_" in text) and not ("+" in text or "/" in text)
    alphabet = _URL_SAFE if url_safe else None
    try:
        data = pybase64.b64decode(text + "=" * (-len(text) % 4), altchars=alphabet, validate=True)
    except ValueError as exc:  # binascii.Error, or a character that is not ASCII
        raise _not_base64(str(exc), field) from exc
    last = pybase64.b64encode(data[len(data) // 3 * 3 :], altchars=alphabet).decode("ascii").rstrip("=")
    if not text.endswith(last):  # bits left over at the end belong to a byte that did not arrive
        raise _not_base64("it is cut off", field)
    return data


def _not_base64(why: str, field: str) -> ContractError:
    return ContractError(ErrorCode.UNSUPPORTED_MEDIA, f"{field} is not base64: {why}", field=field, reason="bad_base64")
