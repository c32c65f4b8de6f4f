"""What the fields of a model mean, by the strings below them; read when somebody asks, as that takes a while."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise

from pydantic import BaseModel


def field_docs(model: type[BaseModel]) -> Mapping[str, str]:
    """The meaning of each field, inherited ones included; of none where the source is not at hand."""
    docs: dict[str, str] = {}
    for base in reversed(model.__mro__):
        docs |= _of_module(base.__module__).get(base.__name__, {})
    return {name: docs[name] for name in model.model_fields if name in docs}


@cache
def _of_module(name: str) -> Mapping[str, Mapping[str, str]]:
    """The fields of each class that the module defines at its top."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except (KeyError, OSError, TypeError):
        return {}
    return {node.name: dict(_of_class(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(definition: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, text in pairwise(definition.body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(words))):
                yield name, inspect.cleandoc(words)
