"""Markdown's lines: headings, items, quotes, tables and blocks of code, each as what is left of it to say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agent.speech_text.language import Language

_FENCE = re.compile(r"[\s>]{0,40}(?P<marks>`{3,}|~{3,})\s*(?P<info>[\w+#.-]*)[^`]*\Z")
_PROSE = frozenset({"markdown", "md", "plain", "plaintext", "text", "txt"})
_QUOTE = re.compile(r"\s*>+(?=\s|>|[^\W\d]|\Z)")
_HEADING = re.compile(r"\s*#{1,6}\s+")
_BULLET = re.compile(r"\s*[-*+•‣◦▪●○■–]\s+")
_TASK = re.compile(r"\[(?P<tick>[ xX])\]\s+")
_NUMBERED = re.compile(r"\s*(?P<marks>\*\*|__)?\(?(?P<number>[0-9]{1,3})[.)]\s+(?=\S)")
_FOOTNOTE = re.compile(r"\s*\[\^[^\[\]\s]{1,40}\]:\s*")
_DEFINITION = re.compile(r"\s*\[[^\[\]]{1,200}\]:\s*\S+")
_CELL_END = re.compile(r"(?<!\\)\|")
_RULE = frozenset("|:-+=*_~# \t")
_YES = frozenset({"✓", "✔", "✔️", "✅", "☑", "☑️"})
_NO = frozenset({"✗", "✘", "❌", "✖", "✖️", "☒"})


@dataclass(frozen=True)
class Line:
    """A line without what makes it an item, a heading or a row."""

    text: str
    alone: bool = False
    """It is an item, a heading, a row: no sentence runs through it."""
    last: bool = False
    """It ends here: an item with its line, a paragraph before a blank line."""
    spoken: bool = False
    """It is not part of the text but a word about it, and needs no more work."""


def lines(text: str, words: Language) -> Iterator[Line]:
    """What `text` has to say, line by line."""
    rows = text.splitlines()
    at = 0
    while at < len(rows):
        fence = _FENCE.match(rows[at])
        if fence is None:
            if rows[at].strip():
                is_whole = at + 1 < len(rows) or text.endswith("\n")
                is_last = at + 1 < len(rows) and not rows[at + 1].strip()
                yield _line(rows[at], words, is_whole=is_whole, is_last=is_last)
            at += 1
            continue
        end = _end_of_fence(rows, at + 1, fence["marks"])
        if fence["info"].lower() in _PROSE:
            yield from (_line(row, words, is_whole=True, is_last=False) for row in rows[at + 1 : end])
        elif words.code:
            yield Line(words.code, alone=True, last=True, spoken=True)
        at = end + 1


def _end_of_fence(rows: list[str], start: int, marks: str) -> int:
    for at in range(start, len(rows)):
        stripped = rows[at].strip(" \t>")
        if len(stripped) >= len(marks) and not stripped.strip(marks[0]):
            return at
    return len(rows)


def _line(row: str, words: Language, *, is_whole: bool, is_last: bool) -> Line:
    if _RULE.issuperset(row) or (_DEFINITION.match(row) and not _FOOTNOTE.match(row)):
        return Line("")
    rest = _after(_FOOTNOTE, _after(_QUOTE, row))
    while _QUOTE.match(rest):
        rest = _after(_QUOTE, rest)
    if rest.lstrip().startswith("|"):
        return Line(_row(rest, words), alone=True, last=is_whole)
    text = _after(_HEADING, rest)
    is_heading = text is not rest
    if is_heading:
        text = text.rstrip().rstrip("#")
    text, is_item = _item(text, words)
    is_alone = is_heading or is_item
    return Line(text, alone=is_alone, last=is_whole if is_alone else is_last)


def _after(pattern: re.Pattern[str], row: str) -> str:
    found = pattern.match(row)
    return row[found.end() :] if found else row


def _item(row: str, words: Language) -> tuple[str, bool]:
    text = _after(_BULLET, row)
    if task := _TASK.match(text):
        ticked = words.done and task["tick"] != " "
        text = text[task.end() :].rstrip(" .") + (f", {words.done}" if ticked else "")
    numbered = _NUMBERED.match(text)
    if numbered is None or text[numbered.end() :].split(maxsplit=1)[0].strip(".,") in words.months:
        return text, text is not row
    return f"{words.item(numbered['number'])} {numbered['marks'] or ''}{text[numbered.end() :]}", True


def _row(row: str, words: Language) -> str:
    cells = [cell.strip() for cell in _CELL_END.split(row)]
    return ", ".join(words.yes if cell in _YES else words.no if cell in _NO else cell for cell in cells if cell)
