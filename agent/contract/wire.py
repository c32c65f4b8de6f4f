"""How every message becomes bytes and back: JSON is spoken here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from typing_extensions import Self

from agent.contract.docs import field_docs
from agent.contract.errors import ContractError, ErrorCode

_MAX_FIELD_CHARS = 100
_UNKNOWN = "unknown field"


class WireModel(BaseModel):
    """Base of what travels: immutable, strict about types, lenient about fields it does not know."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        allow_inf_nan=False,
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema, with what its fields mean."""
        described = handler(schema)
        properties = handler.resolve_ref_schema(described).get("properties", {})
        docs = field_docs(cls)
        for name, field in cls.model_fields.items():
            own = properties.get(name) or properties.get(field.serialization_alias)
            if own and name in docs:
                own.setdefault("description", docs[name])
        return described

    def encode(self, *, without: AbstractSet[str] = frozenset()) -> bytes:
        """The message as UTF-8 JSON; fields that do not apply, and those named in `without`, are left out."""
        return self.model_dump_json(exclude_none=True, exclude=set(without)).encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """The message in `payload`, or ContractError(bad_request) that names the field at fault."""
        try:
            return cls.model_validate_json(payload)
        except ValidationError as exc:
            raise bad_request(exc) from exc

    @classmethod
    def from_strings(cls, fields: Mapping[str, str | Mapping[str, str]]) -> Self:
        """The message whose values are all written as text, or ContractError(bad_request) like `decode`."""
        try:
            return cls.model_validate_strings(fields)
        except ValidationError as exc:
            raise bad_request(exc) from exc


def media_type(header: str | None) -> str:
    """What a content type says without its parameters, in lower case; empty where there is none."""
    return (header or "").partition(";")[0].strip().lower()


def read_text(payload: bytes) -> str:
    """The question in a payload of plain text, or ContractError(bad_request)."""
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ContractError(ErrorCode.BAD_REQUEST, f"the text is not UTF-8: {exc.reason}", field="text") from exc


def first_fault(exc: ValidationError) -> tuple[str | None, str]:
    """The dotted name of the first field at fault, None where it is the whole, and what is wrong with it."""
    fault = exc.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in fault["loc"])[:_MAX_FIELD_CHARS] or None
    if fault["type"] == "extra_forbidden":
        return field, _UNKNOWN
    return field, fault["msg"].removeprefix("Value error, ")


def bad_request(exc: ValidationError) -> ContractError:
    """What a caller needs to know of a failed validation: the first fault, and where."""
    field, message = first_fault(exc)
    if field:
        message = f"{_UNKNOWN} {field!r}" if message == _UNKNOWN else f"{field}: {message}"
    return ContractError(ErrorCode.BAD_REQUEST, message, field=field)
