"""Code within a sentence: names, paths, options and calls as the words that somebody would read out."""

from __future__ import annotations

import re

from agent.speech_text.language import Language

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LITERAL = re.compile(r"[A-Z0-9_]{2,}")
_BRACKETS = re.compile(r"[(){}\[\]\"'`;,<>$!?*]+")
_OPTION = re.compile(r"(?<!\S)(--?)(?=[^\W\d])")
_UNDERSCORES = re.compile(r"_+")
_DOT = re.compile(r"(?<![0-9])\.(?=\w)|(?<=\w)\.(?=[^\W\d])")
_COLONS = re.compile(r":+(?=\S)|:+\Z")
_ARROW = re.compile(r"[-=]>|<[-=]?-")


def said_code(code: str, words: Language) -> str:
    """`code` in words: `get_user()` is "get user", `src/main.py` "src slash main dot py"; a link stays one."""
    if "://" in code:
        return code
    said = _ARROW.sub(" ", code)
    said = _BRACKETS.sub(" ", said)
    dash = f"{words.dash} " if words.dash else ""
    said = _OPTION.sub(lambda found: dash * len(found[1]), said)
    said = _DOT.sub(f" {words.dot} " if words.dot else ".", said)
    said = _COLONS.sub(" ", said)
    said = (
        said.replace("/", f" {words.slash} ").replace("\\", " ").replace("&&", " ").replace("|", " ").replace("~", "")
    )
    return _UNDERSCORES.sub(" ", " ".join(map(_words_of_name, said.split())))


def _words_of_name(name: str) -> str:
    return name if _LITERAL.fullmatch(name) else _HUMP.sub(" ", name)
