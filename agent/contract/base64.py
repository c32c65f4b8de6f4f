"""Base64 as callers really send it: to exactly the bytes that were meant, or to an error."""

from __future__ import annotations

import re

import pybase64

from agent.contract.errors import ContractError, ErrorCode

_DATA_URL = re.compile(r"\s*data:[^,]{0,200},")
_WHITESPACE = str.maketrans("", "", " \t\r\n\f\v")


def encode_base64(data: bytes) -> str:
    """Standard alphabet, padded, on one line."""
    return pybase64.b64encode(data).decode("ascii")


def decode_base64(text: str, *, field: str = "audio") -> bytes:
    """Accepts a `data:` prefix, line breaks, the URL-safe alphabet and missing padding; refuses the rest.

    Raises ContractError(unsupported_media) when the bytes would have to be guessed.
    """
    if prefix := _DATA_URL.match(text):
        text = text[prefix.end() :]
    text = text.translate(_WHITESPACE).rstrip("=")
    url_safe = "-" in text or "_" in text
    try:
        return pybase64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_" if url_safe else None, validate=True)
    except ValueError as exc:  # binascii.Error, or a character that is not ASCII
        raise ContractError(
            ErrorCode.UNSUPPORTED_MEDIA, f"{field} is not base64: {exc}", field=field, reason="bad_base64"
        ) from exc
