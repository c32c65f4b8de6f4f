"""Reads a suite from its file, and tells what is wrong with it by line and field."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from inspect import isclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from agent.contract.wire import first_fault
from agent.errors import UserError
from agent.evaluation.suite import Suite

_Line = Callable[[Sequence[int | str]], int]


class SuiteError(UserError):
    """A suite that cannot be asked."""

    exit_status = 2


def read_suite(path: Path) -> Suite:
    """The suite in `path`, JSON if it is called `.json`, else YAML. SuiteError names line and field."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise SuiteError(f"{path} cannot be read: {exc}") from exc
    value, line = _from_json(path, text) if path.suffix == ".json" else _from_yaml(path, text)
    try:
        return Suite.model_validate_json(_strict_json(path, value), context={"folder": path.parent})
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False)[0]
        field, message = first_fault(exc)
        if fault["type"] == "extra_forbidden":
            message = f"{message}; there are {', '.join(_fields(fault['loc'][:-1]))}"
        place = f"{path}:{line(fault['loc'])}" if line else f"{path}"
        raise SuiteError(": ".join(filter(None, (place, field, message)))) from exc


def _from_json(path: Path, text: str) -> tuple[Any, _Line | None]:
    try:
        return json.loads(text), None
    except json.JSONDecodeError as exc:
        raise SuiteError(f"{path}:{exc.lineno}: {exc.msg}") from exc


def _from_yaml(path: Path, text: str) -> tuple[Any, _Line | None]:
    try:
        from agent.evaluation.yaml_tree import YamlFault, YamlTree  # noqa: PLC0415 - of an extra; JSON needs none
    except ImportError as exc:
        needed = "pip install 'edgevoice[eval]'"
        raise SuiteError(f"{path}: YAML needs a package: {needed}; or write the suite as .json") from exc
    try:
        tree = YamlTree(text)
    except YamlFault as exc:
        raise SuiteError(f"{path}{f':{exc.line}' if exc.line else ''}: {exc}") from exc
    return tree.value, tree.line


def _strict_json(path: Path, value: Any) -> str:
    # As JSON it is validated like a request; YAML's own dates are the text that was written.
    try:
        return json.dumps(value, default=str)
    except (TypeError, ValueError) as exc:
        raise SuiteError(f"{path} is not what a suite may be: {exc}") from exc


def _fields(where: Sequence[int | str]) -> list[str]:
    """What may be given at this place of a suite."""
    model: type[BaseModel] = Suite
    parts = iter(where)
    for part in parts:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            model = _model(annotation) or model
            if get_origin(annotation) is dict:
                next(parts, None)  # a name of the suite's own choice
    closed: frozenset[str] = getattr(model, "closed", frozenset())
    return [field.alias or name for name, field in model.model_fields.items() if name not in closed]


def _model(annotation: Any) -> type[BaseModel] | None:
    if isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for inner in get_args(annotation) if (model := _model(inner))), None)
