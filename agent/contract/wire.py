"""How every message becomes bytes and back: JSON is spoken here and nowhere else."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError
from typing_extensions import Self

from agent.contract.errors import ContractError, ErrorCode

_MAX_FIELD_CHARS = 100


class WireModel(BaseModel):
    """Base of what travels: immutable, strict about types, lenient about fields it does not know."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    def encode(self) -> bytes:
        """The message as UTF-8 JSON; fields that do not apply are left out."""
        return self.model_dump_json(exclude_none=True).encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """The message in `payload`, or ContractError(bad_request) that names the field at fault."""
        try:
            return cls.model_validate_json(payload)
        except ValidationError as exc:
            raise bad_request(exc) from exc


def bad_request(exc: ValidationError) -> ContractError:
    """What a caller needs to know of a failed validation: the first fault, and where."""
    fault = exc.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in fault["loc"])[:_MAX_FIELD_CHARS] or None
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        message = f"unknown field {field!r}"
    elif field:
        message = f"{field}: {message}"
    return ContractError(ErrorCode.BAD_REQUEST, message, field=field)
