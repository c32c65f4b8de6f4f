"""Addresses in a text: of a link, its host is said; an e-mail address is said in full."""

from __future__ import annotations

import re

from agent.speech_text.language import Language

_PATH = r"[!#-&*-;=?-Z\\^-~]"
"""ASCII without quotes, brackets and angle brackets: a letter of another script ends an address."""
_LINK = re.compile(
    rf"(?<![A-Za-z0-9])(?:(?:https?|ftp|wss?|mqtts?)://|www\.)(?:[\w.%+-]{{1,64}}@)?(?P<host>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)"
    rf"(?::[0-9]{{1,5}})?(?:[/?#](?:{_PATH}|\([!#-&*-~]{{0,200}}\)){{0,4000}})?",
    re.IGNORECASE,
)
_MAIL = re.compile(r"(?<![\w.+-])(?:mailto:)?([\w.+-]{1,64})@([A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8})")
_AFTER = ".,;:!?'*_~"
_DOT_IN_NAME = re.compile(r"(?<=[\w-][\w-])\.(?=[a-z])|(?<![\w.])\.(?=[A-Za-z]{2})")


def said_addresses(text: str, words: Language) -> str:
    """`text` in which each is words; in a language without a word for the dot, the dots stay."""
    if "." not in text and "://" not in text:
        return text
    text = _MAIL.sub(lambda found: _mail(found[1], found[2], words), text)
    text = _LINK.sub(lambda found: _host(found["host"], words) + _after(found[0]), text)
    return _DOT_IN_NAME.sub(f" {words.dot} ", text) if words.dot else text


def _mail(person: str, host: str, words: Language) -> str:
    if not words.dot:
        return f"{person}@{host}"
    dotted = f" {words.dot} "
    return f"{person.replace('.', dotted)} {words.at} {host.replace('.', dotted)}"


def _host(host: str, words: Language) -> str:
    name = host.lower().removeprefix("www.")
    return name.replace(".", f" {words.dot} ") if words.dot else name


def _after(address: str) -> str:
    return address[len(address.rstrip(_AFTER)) :]
