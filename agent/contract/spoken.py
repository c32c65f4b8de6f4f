"""A spoken question in JSON. A large clip is cut out of it before the rest is parsed, and so never becomes text."""

from __future__ import annotations

import re
import uuid

from agent.contract.base64 import decode_base64, decode_usual
from agent.contract.errors import ContractError
from agent.contract.messages import Request

_AUDIO = re.compile(rb'"audio"\s*:\s*"')
_LARGE_BYTES = 16_384


def read_request(payload: bytes) -> tuple[Request, bytes | None]:
    """The request in `payload`, without its audio, and its clip. Raises ContractError as they would one by one."""
    if found := _cut(payload):
        return found
    request = Request.decode(payload)
    if request.audio is None:
        return request, None
    return request.model_copy(update={"audio": None}), decode_base64(request.audio)


def _cut(payload: bytes) -> tuple[Request, bytes] | None:
    """The same where the clip is large and written as usual; else, and where anything is wrong, None."""
    field = _AUDIO.search(payload) if len(payload) > _LARGE_BYTES else None
    if not field:
        return None
    end = payload.find(b'"', field.end())
    clip = decode_usual(memoryview(payload)[field.end() : end]) if end - field.end() > _LARGE_BYTES else None
    if clip is None:
        return None
    mark = uuid.uuid4().hex  # what was cut may have been another field's of that name: of `metadata`, or given twice
    try:
        request = Request.decode(b"".join((payload[: field.end()], mark.encode(), payload[end:])))
    except ContractError:
        return None
    return (request.model_copy(update={"audio": None}), clip) if request.audio == mark else None
