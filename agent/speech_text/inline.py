"""Markdown and HTML within a line: emphasis, links, images, code, tags, footnotes and entities."""

from __future__ import annotations

import html
import re

from agent.speech_text.code_words import said_code
from agent.speech_text.language import Language

_CODE = re.compile(r"(`+)([^`]{1,1000})\1")
_TARGET = r"\((?:[^()\n]|\([^()\n]*\)){0,2000}\)"
_LINK = re.compile(rf"!?\[([^\[\]\n]*)\]{_TARGET}")
_WIKI_LINK = re.compile(r"!?\[\[(?:[^\[\]|\n]*\|)?([^\[\]|\n]*)\]\]")
_REFERENCE = re.compile(r"\[((?![\^0-9])[^\[\]\n]+)\] ?\[[^\[\]\n]*\]")
_CITATION = re.compile(r"\s?\[\^?[0-9][0-9,\s–-]{0,40}\]|\[\^[^\[\]\s]{1,40}\]|【[^【】]{0,80}】")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]{1,2000})>")
_STRUCK = re.compile(r"~~(?=\S)[^~\n]{1,500}~~")
_TAGS = (
    "a|abbr|article|aside|b|big|blockquote|body|br|button|caption|center|cite|code|col|dd|del|details|dfn|div|dl|dt|em|"
    "figcaption|figure|font|footer|h[1-6]|head|header|hr|html|i|img|input|ins|kbd|label|li|main|mark|nav|ol|p|pre|q|rp|"
    "rt|ruby|s|samp|section|small|span|strike|strong|sub|summary|sup|table|tbody|td|tfoot|th|thead|time|tr|tt|u|ul|var"
)
_ATTRIBUTE = r"\s+[\w:-]{1,60}\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s\"'<>]+)"
_TAG = re.compile(rf"</?({_TAGS})(?:{_ATTRIBUTE}){{0,20}}\s*/?>", re.IGNORECASE)
_PAUSING_TAG = re.compile(r"br|hr|p|li|tr|td|th|div|h[1-6]|dd|dt", re.IGNORECASE)
_RAISED = re.compile(r"<sup>\s*(-?[0-9a-z]{1,9})\s*</sup>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+.!|~<>$&%-])")
_LONGEST_OPERATOR = 3
_EMPHASIS = re.compile(r"\*+|_+|~~+|`+|==+|\|\|+")


def without_markup(text: str, words: Language) -> str:
    """`text` without it; a marker that has lost its other half goes, too."""
    text = _CODE.sub(lambda found: said_code(found[2], words), text)
    text = _TAG.sub(_tag, _RAISED.sub(r"^\1", _AUTOLINK.sub(r"\1", text)))
    for pattern in (_WIKI_LINK, _LINK, _LINK, _REFERENCE):  # twice: an image may be a link's text
        text = pattern.sub(r"\1", text)
    text = _STRUCK.sub("", _CITATION.sub("", text))
    text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    return _EMPHASIS.sub(_emphasis, _ESCAPED.sub(_escaped, text))


def _tag(found: re.Match[str]) -> str:
    return ", " if _PAUSING_TAG.fullmatch(found[1]) else ""


def _escaped(found: re.Match[str]) -> str:
    return "" if found[1] in "*_`~|\\" else found[1]


def _emphasis(found: re.Match[str]) -> str:
    """Nothing, unless it is no marker: a sign between two operands, or what joins the words of a name."""
    text, mark = found.string, found[0]
    before = text[found.start() - 1] if found.start() else " "
    after = text[found.end()] if found.end() < len(text) else " "
    if mark[0] == "*":
        if before.isspace() and after.isspace() and len(mark) == 1:
            return "×"
        is_product = (before.isdigit() or before == ")") and (after.isdigit() or after == "(")
        return ("^" if mark == "**" else "×") if is_product else ""
    if mark[0] == "=":
        return "=" if before.isspace() and after.isspace() and len(mark) <= _LONGEST_OPERATOR else ""
    if mark[0] == "|":
        return ", " if before.isspace() and after.isspace() else ""
    return " " if mark[0] == "_" and before.isalnum() and after.isalnum() else ""
