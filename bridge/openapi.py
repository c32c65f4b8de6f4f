"""How the API describes itself, beside what FastAPI reads from signatures: models, problems, and what comes late."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from agent.contract.errors import ErrorCode
from bridge.errors import GATEWAY_TIMEOUT, HTTP_STATUS, NOT_ACCEPTABLE, PROBLEM_JSON, Problem

REF = "#/components/schemas/{model}"
"""Where the document has a model."""


def describe(
    app: FastAPI,
    models: Sequence[tuple[type[BaseModel], JsonSchemaMode]],
    *,
    posts: Mapping[str, Callable[[], dict[str, Any]]],
) -> None:
    """Adds `models` to what `/openapi.json` says of `app`; and what `posts` say of POST at their paths, once asked."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            schema = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes, tags=None
            )
            _, definitions = models_json_schema(models, ref_template=REF)
            schema.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
            for path, work_out in posts.items():
                schema["paths"][path]["post"] |= work_out()
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it


def ref(model: type[BaseModel]) -> dict[str, str]:
    """A reference to `model`."""
    return {"$ref": REF.format(model=model.__name__)}


def problems(model: type[BaseModel], media_type: str) -> dict[int | str, dict[str, Any]]:
    """What a route may answer instead, by status, where its errors are `model`."""
    return {
        status: {
            "description": ", ".join(f"`{code.value}`" for code in codes),
            "content": {media_type: {"schema": ref(model)}},
        }
        for status, codes in _codes_by_status().items()
    }


def _codes_by_status() -> dict[int, list[ErrorCode]]:
    codes: dict[int, list[ErrorCode]] = {NOT_ACCEPTABLE: [ErrorCode.BAD_REQUEST], GATEWAY_TIMEOUT: [ErrorCode.EXPIRED]}
    for code, status in HTTP_STATUS.items():
        codes.setdefault(status, []).append(code)
    return dict(sorted(codes.items()))


PROBLEMS = problems(Problem, PROBLEM_JSON)
"""What any route but OpenAI's may answer instead, by status."""
