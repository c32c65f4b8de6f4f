"""The forms in which HTTP callers write a request, each read into the one Request of the contract."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import Request as HttpRequest
from starlette.datastructures import UploadFile

from agent.contract.base64 import encode_base64
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Request
from agent.contract.terms import is_id
from agent.contract.wire import media_type, read_text

_MAX_FORM_FIELDS = 64
_TYPES = "application/json, text/plain, multipart/form-data or audio/*"


async def read_request(http: HttpRequest) -> Request:
    """What the caller asks: body, query parameters and `Idempotency-Key` together, each field given once."""
    request = await _from_body(http)
    if in_query := http.query_params.multi_items():
        request = _merge(request, _from_fields(in_query))
    key = read_key(http)
    if key is None:
        return request
    if request.id not in (None, key):
        message = "id and Idempotency-Key differ; give one of them"
        raise ContractError(ErrorCode.BAD_REQUEST, message, field="id", reason="two_ids")
    return request.model_copy(update={"id": key})


def read_key(http: HttpRequest) -> str | None:
    """The request's id, by its `Idempotency-Key`; None where it has none."""
    keys = http.headers.getlist("Idempotency-Key")
    if not keys:
        return None
    if len(keys) > 1:
        raise _given_twice("Idempotency-Key")
    [key] = keys
    key = key.strip('"')  # the header's own drafts quote it
    if not is_id(key):
        message = "Idempotency-Key is 1 to 64 characters of A-Z, a-z, 0-9, _, . and -"
        raise ContractError(ErrorCode.BAD_REQUEST, message, field="Idempotency-Key", reason="bad_id")
    return key


async def read_parts(http: HttpRequest) -> list[tuple[str, str | bytes]]:
    """The fields of a multipart body, and what is in its one file."""
    body = await http.body()
    if not body.rstrip().endswith(b"--"):  # what is missing would count as not given
        raise ContractError(ErrorCode.BAD_REQUEST, "the multipart body ends before its closing boundary")
    async with http.form(max_files=1, max_fields=_MAX_FORM_FIELDS, max_part_size=len(body)) as form:
        return [
            (name, await value.read() if isinstance(value, UploadFile) else value) for name, value in form.multi_items()
        ]


async def _from_body(http: HttpRequest) -> Request:
    body = await http.body()
    media = media_type(http.headers.get("Content-Type"))
    if media == "application/json":
        return Request.decode(body)
    if media == "text/plain":
        return Request.from_strings({"text": read_text(body)})
    if media == "multipart/form-data":
        return _from_fields([_part(name, value) for name, value in await read_parts(http)])
    if media.startswith("audio/"):
        return Request.from_strings({"audio": encode_base64(body)})
    if media or body:
        message = f"say what the body is in Content-Type: {_TYPES}, not {media[:80]!r}"
        raise ContractError(ErrorCode.UNSUPPORTED_MEDIA, message, field="Content-Type", reason="content_type")
    return Request()


def _part(name: str, value: str | bytes) -> tuple[str, str]:
    if isinstance(value, str):
        return name, value
    if name != "file":
        raise ContractError(ErrorCode.BAD_REQUEST, f"the clip belongs into `file`, not {name[:80]!r}", field=name[:80])
    return "audio", encode_base64(value)


def _from_fields(items: Iterable[tuple[str, str]]) -> Request:
    """Fields as text, by the names of the envelope; `tts.voice` is the `voice` of `tts`."""
    fields: dict[str, Any] = {}
    for name, value in items:
        parent, dot, leaf = name.partition(".")
        level, key = (fields.setdefault(parent, {}), leaf) if dot else (fields, name)
        if not isinstance(level, dict) or key in level:
            raise _given_twice(name)
        level[key] = value
    return Request.from_strings(fields)


def _merge(one: Request, other: Request) -> Request:
    for name in one.model_fields_set & other.model_fields_set:
        raise _given_twice(name)
    return one.model_copy(update={name: getattr(other, name) for name in other.model_fields_set})


def _given_twice(name: str) -> ContractError:
    return ContractError(ErrorCode.BAD_REQUEST, f"{name[:80]!r} is given twice", field=name[:80], reason="given_twice")
