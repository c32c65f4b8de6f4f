"""The way from a display text to the words that are said: thoughts out, markup off, signs and numbers as words."""

from __future__ import annotations

import re
from dataclasses import replace

from agent.speech_text.addresses import said_addresses
from agent.speech_text.blocks import Line, lines
from agent.speech_text.formulas import said_formulas
from agent.speech_text.inline import without_markup
from agent.speech_text.language import Language
from agent.speech_text.languages import language_of
from agent.speech_text.pauses import joined, paused
from agent.speech_text.signs import said_signs, without_pictures
from agent.speech_text.thoughts import without_thoughts

_RUN = re.compile(r"\s{2,}")


def speech_text(text: str, *, language: str | None = None) -> str:
    """
    `text` as a person would say it, on one line; empty where there is nothing to say.

    Markup, emoji, links' targets, citations and think blocks are gone; a block of code is a short hint at it. Numbers,
    dates, units, money, signs and abbreviations are words in English and German; in French, Spanish and Italian the
    numbers that have one form only; in other languages they are left to the engine. `language` is an IETF tag; None is
    English unless the letters are not Latin. Any text will do: a part of a longer one, with markers that have lost
    their other half, too.
    """
    heard = without_thoughts(text)
    words = language_of(language, heard)
    return joined(replace(line, text=_said(line, words)) for line in lines(heard, words))


def _said(line: Line, words: Language) -> str:
    if line.spoken:
        return line.text
    plain = without_markup(said_formulas(_RUN.sub(" ", line.text), words), words)
    plain = _RUN.sub(" ", without_pictures(plain, words))
    plain = words.read(said_addresses(plain, words))
    return paused(said_signs(plain, words))
