"""LaTeX in a text, as far as a listener can follow it: fractions, roots, powers, sums and the names of signs."""

from __future__ import annotations

import re
from types import MappingProxyType

from agent.speech_text.language import FormulaWords, Language

_DELIMITED = re.compile(
    r"\$\$(?P<block>[^$]{1,1000})\$\$"
    r"|(?<![\w$])\$(?P<inline>[^\s$](?:[^$\n]{0,400}[^\s$])?)\$(?![0-9$])"
    r"|\\\[(?P<display>(?:[^\\]|\\[^\[\]()]){1,1000})\\\]|\\\((?P<parens>(?:[^\\]|\\[^\[\]()]){1,400})\\\)"
)
_MATHS = re.compile(r"[\\^_={]")
_WORD = re.compile(r"[^\W\d_]{2,}")
_BARE = re.compile(r"\\(?:[A-Za-z]{2,20}\s?\{|(?:times|cdot|leq?|geq?|neq?|approx|pm|pi|sum|int|infty)\b)")
_BOUND = r"(?:\{([^{}]*)\}|(\w))"
_BOUNDED = re.compile(rf"\\(sum|int|prod)\s*_{_BOUND}\s*\^{_BOUND}")
_FRACTION = re.compile(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt\s*\{([^{}]*)\}")
_WRAPPED = re.compile(r"\\(?:text|math(?:rm|bf|it|bb|cal)|operatorname|boxed|vec|hat|bar|overline)\s*\{([^{}]*)\}")
_POWER = re.compile(r"\s*\^\s*(?:\{([^{}]*)\}|(-?[^\W_]|[0-9]+))")
_INDEX = re.compile(r"_(?:\{([^{}]*)\}|(\w))")
_COMMAND = re.compile(r"\\([A-Za-z]{1,30})\*?")
_MINUS = re.compile(r"-(?=[\w(\\{\s])")
_SPACING = frozenset({
    "left", "right", "big", "Big", "bigg", "Bigg", "displaystyle", "limits", "quad", "qquad", "begin", "end",
    "mathrm", "text",
})  # fmt: skip
_SIGNS = MappingProxyType({
    "times": "×", "cdot": "×", "div": "÷", "pm": "±", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠",
    "ne": "≠", "approx": "≈", "infty": "∞", "to": "→", "rightarrow": "→", "Rightarrow": "→", "sum": "∑", "int": "∫",
    "in": "∈", "degree": "°", "circ": "°", "ldots": "...", "dots": "...", "cdots": "...", "lt": "<", "gt": ">",
})  # fmt: skip
_DEEPEST = 6


def said_formulas(text: str, words: Language) -> str:
    """`text` in which what stands between dollars or LaTeX's brackets, and is no sum of money, is read out."""
    if "$" not in text and "\\" not in text:
        return text
    text = _DELIMITED.sub(lambda found: _delimited(found, words), text)
    return _read(text, words) if _BARE.search(text) else text


def _delimited(found: re.Match[str], words: Language) -> str:
    if found["inline"] is None:
        return _read(found["block"] or found["display"] or found["parens"], words)
    inline = found["inline"]
    is_maths = _MATHS.search(inline) or not _WORD.search(inline)
    return _read(inline, words) if is_maths else found[0]


def _read(formula: str, words: Language) -> str:
    said = formula.replace("\\\\", ", ").replace("&", " ")
    said = _MINUS.sub(" − ", said)
    if names := words.formulas:
        said = _BOUNDED.sub(lambda found: _bounded(found, names), said)
    for _ in range(_DEEPEST):
        inner = _innermost(said, words.formulas)
        if inner == said:
            break
        said = inner
    said = _COMMAND.sub(lambda found: _command(found[1], words.formulas), said)
    said = said.replace("{", " ").replace("}", " ").replace("\\", " ")
    return " ".join(said.split())


def _innermost(formula: str, words: FormulaWords | None) -> str:
    over, root = (words.over, words.root) if words else ("/", "√")
    said = _WRAPPED.sub(r" \1 ", formula)
    said = _INDEX.sub(lambda found: f" {found[1] or found[2] or ''}", said)
    said = _POWER.sub(lambda found: _power(found[1] or found[2] or "", words), said)
    said = _ROOT.sub(rf" {root} \1 ", said)
    return _FRACTION.sub(rf" \1 {over} \2 ", said)


def _power(exponent: str, words: FormulaWords | None) -> str:
    if words is None:
        return f"^{exponent} "
    plain = exponent.replace("− ", "-").strip()
    return f" {words.powers.get(plain) or f'{words.power} {exponent}'} "


def _bounded(found: re.Match[str], words: FormulaWords) -> str:
    first, last = found[2] or found[3] or "", found[4] or found[5] or ""
    return f" {words.sums[found[1]]} {words.bounds.format(first=first, last=last)} "


def _command(name: str, words: FormulaWords | None) -> str:
    if name in _SPACING:
        return " "
    if name in _SIGNS:
        return f" {_SIGNS[name]} "
    return f" {words.commands.get(name, name) if words else name} "
