"""Money in English."""

from __future__ import annotations

import re
from types import MappingProxyType

from agent.speech_text.english.numbers import NUMBER, number, whole

_CURRENCIES = MappingProxyType(
    {
        "$": ("dollar", "dollars", "cent", "cents"),
        "€": ("euro", "euros", "cent", "cents"),
        "£": ("pound", "pounds", "penny", "pence"),
        "¥": ("yen", "yen", "", ""),
        "₹": ("rupee", "rupees", "paisa", "paise"),
        "₩": ("won", "won", "", ""),
        "₽": ("ruble", "rubles", "kopeck", "kopecks"),
        "₺": ("lira", "lira", "kurus", "kurus"),
        "₿": ("bitcoin", "bitcoin", "", ""),
        "¢": ("cent", "cents", "", ""),
    }
)
_CODES = MappingProxyType({
    "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩", "BTC": "₿",
})  # fmt: skip
_LANDS = MappingProxyType({"US": "US ", "CA": "Canadian ", "C": "Canadian ", "AU": "Australian ", "A": "Australian "})
_SCALES = MappingProxyType({
    "k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "b": "billion", "B": "billion",
    "bn": "billion", "T": "trillion", "tn": "trillion",
})  # fmt: skip
_SIGN = "[" + "".join(_CURRENCIES) + "]"
_SCALE = r"(?:\s?(?P<scale>thousand|million|billion|trillion|k|K|mn?|M|bn?|B|T|tn)(?!\w))?"
_BEFORE = re.compile(
    rf"(?P<article>\b[Aa]n? )?(?:\b(?P<land>US|CA|C|AU|A))?(?P<sign>{_SIGN})\s?(?P<amount>{NUMBER}){_SCALE}"
)
_AFTER = re.compile(rf"(?<![\w.,$€£])(?P<amount>{NUMBER}){_SCALE}\s?(?P<sign>{_SIGN})(?![\w])")
_CODE_AFTER = re.compile(rf"(?<![\w.,])({NUMBER})\s?({'|'.join(_CODES)})(?!\w)")
_CODE_BEFORE = re.compile(rf"\b({'|'.join(_CODES)})\s?(?=[0-9])")
_RANGE = re.compile(
    rf"(?P<sign>{_SIGN})(?P<first>{NUMBER})\s?[-–]\s?(?P<again>{_SIGN})?(?P<last>{NUMBER}){_SCALE}(?![\w])"
)
_DECIMAL_COMMA = re.compile(r"(?<![\w.,])([0-9]{1,6}),([0-9]{2})(?=\s?€)|(?<=€)(\s?[0-9]{1,6}),([0-9]{2})(?![0-9,])")
_MINUS = re.compile(rf"(?<![\w)])[-−](?={_SIGN}?\s?[0-9])")
_FOLLOWED = re.compile(r"\s[a-z]")
_CENTS = 2


def said_money(text: str) -> str:
    """`text` in which sums of money are words."""
    said = _CODE_AFTER.sub(lambda found: f"{_CODES[found[2]]}{found[1]}", text)
    said = _CODE_BEFORE.sub(lambda found: _CODES[found[1]], said)
    if not any(sign in said for sign in _CURRENCIES):
        return text
    said = _DECIMAL_COMMA.sub(lambda found: f"{found[1] or found[3]}.{found[2] or found[4]}", said)
    said = _RANGE.sub(_range, _MINUS.sub("minus ", said))
    return _AFTER.sub(_sum, _BEFORE.sub(_sum, said))


def _range(found: re.Match[str]) -> str:
    scale = _scale(found["scale"])
    _, units, _, _ = _CURRENCIES[found["sign"]]
    return f"{number(found['first'])} to {number(found['last'])}{scale} {units}"


def _sum(found: re.Match[str]) -> str:
    amount, scale = found["amount"], _scale(found["scale"])
    article = found.groupdict().get("article") or ""
    land = _LANDS.get(found.groupdict().get("land") or "", "")
    unit, units, cent, cents = _CURRENCIES[found["sign"]]
    before, _, after = amount.partition(".")
    if scale or not cent or len(after) != _CENTS:
        describes = article and _FOLLOWED.match(found.string, found.end())
        return f"{article}{number(amount)}{scale} {land}{unit if describes or (amount == '1' and not scale) else units}"
    said = f"{article}{whole(before)} {land}{unit if before == '1' else units}"
    if after == "00":
        return said
    small = f"{article if before == '0' else ''}{whole(after.lstrip('0'))} {cent if after == '01' else cents}"
    return small if before == "0" else f"{said} and {small}"


def _scale(found: str | None) -> str:
    return f" {_SCALES.get(found, found)}" if found else ""
