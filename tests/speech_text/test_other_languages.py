"""Languages other than English: what is certain is said, the rest is left to the engine, and markup goes in all."""
# ruff: noqa: RUF001 - signs that look like others

import pytest

from agent.speech_text import speech_text

pytestmark = pytest.mark.once

GERMAN = {
    "**Hallo** & tschüss 😀": "Hallo und tschüss",
    "Das sind 42 von 1.000.000.": "Das sind zweiundvierzig von eine Million.",
    "1 Apfel, 2 Äpfel": "1 Apfel, zwei Äpfel",
    "3,5 oder 0,25": "drei Komma fünf oder null Komma zwei fünf",
    "1 km, 5 km, 1 h, 2 h": "ein Kilometer, fünf Kilometer, eine Stunde, zwei Stunden",
    "100 km/h und -5 °C": "einhundert Kilometer pro Stunde und minus fünf Grad Celsius",
    "5 % bis 10-20 %": "fünf Prozent bis zehn bis zwanzig Prozent",
    "Es kostet 5,20 €.": "Es kostet fünf Euro zwanzig.",
    "1 €, 0,99 €, $5, 2 Mio. €": "ein Euro, neunundneunzig Cent, fünf Dollar, zwei Millionen Euro",
    "am 3. Mai 2026": "am dritten Mai zweitausendsechsundzwanzig",
    "Der 3. Mai": "Der dritte Mai",
    "3. Mai": "dritter Mai",
    "vom 21.11.2026": "vom einundzwanzigsten November zweitausendsechsundzwanzig",
    "am 2026-11-21": "am einundzwanzigsten November zweitausendsechsundzwanzig",
    "Die 2. Frau": "Die zweite Frau",
    "Um 14:30 Uhr, 9:00, 1 Uhr": "Um vierzehn Uhr dreißig, neun Uhr, ein Uhr",
    "1989 fiel sie": "neunzehnhundertneunundachtzig fiel sie",
    "z. B. heute, d.h. jetzt": "zum Beispiel heute, das heißt jetzt",
    "Dr. Maier, Nr. 5, Hauptstr. 7": "Doktor Maier, Nummer fünf, Hauptstraße sieben",
    "Äpfel, Birnen usw.": "Äpfel, Birnen und so weiter.",
    "1. Brot": "Eins, Brot",
    "anna@beispiel.de": "anna at beispiel Punkt de",
    "x = 5": "x gleich fünf",
    "$x^2$": "x Quadrat",
    "```\nx\n```": "Siehe den Code.",
    "Raum 007": "Raum null null sieben",
    "9" * 40: "eine Zahl mit vierzig Stellen",
}

OTHERS = [
    ("fr", "3,5 % de 42 pommes & 1 poire", "trois virgule cinq pour cent de quarante-deux pommes et 1 poire"),
    ("fr", "21 pommes, 1 000 000 d'habitants", "21 pommes, un million d'habitants"),
    ("fr-CA", "« **Bonjour** » !", "Bonjour!"),
    ("fr", "5 €, 20 °C, 14:30", "5 €, 20 °C, 14:30"),
    ("es", "¿Tienes 42 casas o 200?", "¿Tienes cuarenta y dos casas o 200?"),
    ("es", "3,5 %", "tres coma cinco por ciento"),
    ("it", "1 mela e 42 mele", "1 mela e quarantadue mele"),
    ("it", "Scrivi a anna@esempio.it", "Scrivi a anna chiocciola esempio punto it"),
    ("zh", "我有**3**个苹果 😀，见https://example.com/a。谢谢", "我有3个苹果，见example.com。谢谢"),
    ("zh-CN", "- 面包\n- 牛奶\n", "面包. 牛奶."),
    ("ja", "`コード`を見て。", "コードを見て。"),
    ("hi", "नमस्ते **दुनिया** 🙏", "नमस्ते दुनिया"),
    ("ar", "مرحبا **بالعالم** ٣", "مرحبا بالعالم ٣"),
    ("xx", "**42** & 5 km, 1/2", "42 & 5 km, 1/2"),
    ("nl", "```\nx\n```", ""),
    ("pl", "1. Chleb", "1. Chleb"),
    (None, "我有3个苹果", "我有3个苹果"),
    (None, "Привет, 5 друзей", "Привет, 5 друзей"),
    ("auto", "5 friends", "five friends"),
]


@pytest.mark.parametrize(("written", "said"), GERMAN.items())
def test_german(written, said):
    assert speech_text(written, language="de-DE") == said


@pytest.mark.parametrize(("language", "written", "said"), OTHERS)
def test_elsewhere_only_what_is_certain_is_put_into_words(language, written, said):
    assert speech_text(written, language=language) == said
