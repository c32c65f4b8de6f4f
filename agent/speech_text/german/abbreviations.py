"""Abbreviations in German, in full."""

from __future__ import annotations

import re
from types import MappingProxyType

_ANYWHERE = MappingProxyType({
    "z.B.": "zum Beispiel", "d.h.": "das heißt", "u.a.": "unter anderem", "u.U.": "unter Umständen",
    "o.Ä.": "oder Ähnliches",
    "o.ä.": "oder ähnlich", "i.d.R.": "in der Regel", "s.o.": "siehe oben", "s.u.": "siehe unten", "v.a.": "vor allem",
    "z.T.": "zum Teil", "m.E.": "meines Erachtens", "usw.": "und so weiter", "etc.": "et cetera",
    "bzw.": "beziehungsweise",
    "ca.": "circa", "evtl.": "eventuell", "ggf.": "gegebenenfalls", "inkl.": "inklusive", "exkl.": "exklusive",
    "zzgl.": "zuzüglich", "vgl.": "vergleiche", "sog.": "sogenannt", "max.": "maximal", "min.": "mindestens",
    "Dr.": "Doktor", "Prof.": "Professor", "Hr.": "Herr", "Fr.": "Frau", "Tel.": "Telefon", "Mio.": "Millionen",
    "Mrd.": "Milliarden", "Std.": "Stunden", "Min.": "Minuten", "Sek.": "Sekunden", "Abb.": "Abbildung",
})  # fmt: skip
_BEFORE_NUMBER = MappingProxyType({"Nr.": "Nummer", "S.": "Seite", "Bd.": "Band", "Kap.": "Kapitel", "Art.": "Artikel"})
_ENDS_A_SENTENCE = frozenset({"usw.", "etc.", "o.Ä.", "o.ä."})


def _pattern(name: str) -> str:
    return r"\s?".join(f"{re.escape(part)}\\." for part in name.split(".")[:-1])


_SHORT = re.compile(rf"(?<![\w.])({'|'.join(map(_pattern, sorted(_ANYWHERE, key=len, reverse=True)))})(?P<end>\s*\Z)?")
_NUMBERED = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, _BEFORE_NUMBER))})\s?(?=[0-9])")
_SAINT = re.compile(r"\bSt\.\s?(?=[A-ZÄÖÜ])")
_STREET = re.compile(r"(?<=[a-zäöüß])(s)tr\.|\bStr\.")


def said_abbreviations(text: str) -> str:
    """`text` in which they are words; one that ends the sentence leaves its stop behind."""
    said = _SHORT.sub(_short, text)
    said = _NUMBERED.sub(lambda found: f"{_BEFORE_NUMBER[found[1]]} ", said)
    said = _STREET.sub(lambda found: "straße" if found[1] else "Straße", said)
    return _SAINT.sub("Sankt ", said)


def _short(found: re.Match[str]) -> str:
    short = re.sub(r"\s", "", found[1])
    stop = "." if found["end"] is not None and short in _ENDS_A_SENTENCE else ""
    return f"{_ANYWHERE[short]}{stop}"
