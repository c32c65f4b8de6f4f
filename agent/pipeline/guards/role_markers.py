"""Marks of whose turn it is: an answer ends where the other side's begins, and does not open with a mark of its own."""

from __future__ import annotations

import re

from agent.pipeline.guards.layout import Layout

_COLONS = (":", "\uff1a")
_NAMES = ("user", "human", "assistant", "用户", "助手")
_HEADINGS = ("user", "human", "assistant", "instruction")
_ROLES = ("assistant", "user", "system")

# What is not here, and why: `System:` begins a line of many a listing, `### Input:` and `### Response:` are headings
# of ordinary texts, and `<|end|>` also ends the thoughts of gpt-oss, after which its answer comes.
_BARE = frozenset(f"{name}{colon}" for name in _NAMES for colon in _COLONS)
_TURNS = _BARE | {f"{hashes} {name}:" for hashes in ("##", "###") for name in _HEADINGS}
"""Where a line begins with one, somebody's turn does; in lower case."""

_MARKS = (
    *("<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|eot_id|>", "<|endoftext|>", "<|end_of_text|>"),
    *(f"<|{role}|>" for role in _ROLES),
    *("<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]", "<<SYS>>", "</s>"),
    *("<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>"),
)
"""Marks of chat templates: they end a turn or begin one wherever they stand."""

_OPENINGS = frozenset(
    [
        *_TURNS,
        *("ai:", "**assistant:**", "**assistant**:", "### response:"),
        *(f"<|im_start|>{role}" for role in _ROLES),
        *(f"<|start_header_id|>{role}<|end_header_id|>" for role in _ROLES),
        *(f"<|{role}|>" for role in _ROLES),
        *("<start_of_turn>model", "<start_of_turn>user", "[inst]", "[/inst]", "<s>"),
        *("<\uff5cassistant\uff5c>", "<\uff5cuser\uff5c>"),
    ]
)
"""What an answer may open with and is none of it; in lower case. `<|user|>` too: better what a confused model says
under a wrong name than nothing."""

_THINKS = "<think>"
_THOUGHT = "</think>"

_ALL_MARKS = (*_MARKS, _THINKS, _THOUGHT)
_BEGINNINGS = frozenset(text[:length] for text in _TURNS for length in range(len(text)))
_MARK_BEGINNINGS = frozenset(text[:length] for text in _ALL_MARKS for length in range(1, len(text)))
_OPENING_BEGINNINGS = frozenset(text[:length] for text in _OPENINGS for length in range(len(text)))
_SIGNS = re.compile(r"[\n<\[`]")
_INDENT = 3
"""A line with more blanks in front is code, or belongs to an item."""
_LEADING_BLANKS = 16


class RoleMarkers:
    """Lets a text through up to where another turn begins, without the marker it opens with.

    Code is let through as it is, between fences and backticks: `User: admin` in a configuration and `<|im_start|>` in
    an explanation of templates are what was asked for, and a model that slips into the other side's turn closes its
    fence first. So are thoughts, which speak of the user, and a `User:` right below another entry of a listing.
    """

    def __init__(self) -> None:
        self._held = ""
        self._layout = Layout()
        self._begins = True
        """Whether nothing but blanks and a marker came yet."""
        self._is_stripped = False
        self._thinks = False
        self.is_over = False
        """Whether another turn began."""

    def feed(self, piece: str) -> str:
        """Takes on `piece`; gives what is in no marker, for sure."""
        if not (self._held or self._begins or self._layout.opens_line or _SIGNS.search(piece)):
            self._layout.add(piece)
            return piece
        safe: list[str] = []
        for char in piece:
            self._held += char
            while self._held and not self.is_over and not self._waits():
                safe.append(self._pass())
            if self.is_over:
                break
        return "".join(safe)

    def end(self, *, at_limit: bool = False) -> str:
        """What was held back: it became none, unless it only waited for the role behind a mark."""
        if self._begins and self._held.lstrip().startswith(_MARKS):
            self._finish()
        held, self._held = self._held, ""
        return held

    def _waits(self) -> bool:
        """Whether what is held may yet become a marker; where it is one, deals with it."""
        if self._begins:
            text = self._held.lstrip()
            if not text:
                self._held = "" if self._is_stripped else self._held
                return len(self._held) <= _LEADING_BLANKS
            if text.lower() in _OPENINGS:
                self._held, self._is_stripped = "", True
                return True
            if text.lower() in _OPENING_BEGINNINGS:
                return True
        if self._layout.is_code:
            return False
        return self._is_mark() or self._is_turn()

    def _is_mark(self) -> bool:
        """The same, for the marks of templates."""
        if self._held in _MARK_BEGINNINGS:
            return True
        if self._thinks or not self._held.startswith(_MARKS):
            return False
        return self._finish()

    def _is_turn(self) -> bool:
        """The same, for names at the beginning of a line."""
        if self._thinks or not self._layout.opens_line:
            return False
        text = self._held.lstrip(" \t")
        if self._layout.indent + len(self._held) - len(text) > _INDENT:
            return False
        name = text.lower()
        if name in _BEGINNINGS:
            return True
        if name not in _TURNS or (name in _BARE and self._layout.follows_entry):
            return False
        return self._finish()

    def _finish(self) -> bool:
        self.is_over = True
        self._held = ""
        return True

    def _pass(self) -> str:
        """The first character of what is held is harmless; with it, all of a mark of thoughts."""
        mark = next((mark for mark in (_THINKS, _THOUGHT) if self._held.startswith(mark)), self._held[0])
        if len(mark) > 1:
            self._thinks = mark == _THINKS
        passed, self._held = mark, self._held[len(mark) :]
        self._layout.add(passed)
        self._begins = False
        return passed
