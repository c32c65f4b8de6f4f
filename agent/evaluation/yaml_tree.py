"""YAML as plain values, with the lines they stand on; imported only where a suite is written in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which the last one would count."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The values of `node` by their keys."""
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


class YamlFault(Exception):
    """Text that is no YAML, and on which line, where that is known."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


class YamlTree:
    """One document."""

    def __init__(self, text: str) -> None:
        """Raises YamlFault."""
        try:
            loader = _Loader(text)
            self._root = loader.get_single_node()
            self.value: Any = loader.construct_document(self._root) if self._root else None
        except yaml.MarkedYAMLError as exc:
            mark = exc.problem_mark
            raise YamlFault(exc.problem or str(exc), mark.line + 1 if mark else None) from exc
        except yaml.YAMLError as exc:
            raise YamlFault(" ".join(str(exc).split()), None) from exc

    def line(self, path: Sequence[int | str]) -> int:
        """Where the value at `path` stands, or what there is of the way to it."""
        node, line = self._root, 0
        for part in path:
            inner = _inner(node, part)
            if inner is None:
                break
            node, line = inner
        return line + 1


def _inner(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, int] | None:
    """What `part` of `node` names, and the line where it begins, counted from 0."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part].start_mark.line
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return value, key.start_mark.line
    return None
