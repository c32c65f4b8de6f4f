"""Quantities and money in German: numbers with their units, and the one number that bends, in its form."""

from __future__ import annotations

import re
from types import MappingProxyType

from agent.speech_text.german.numbers import NUMBER, number

_FEMININE = MappingProxyType({
    "h": ("Stunde", "Stunden"), "Std": ("Stunde", "Stunden"), "min": ("Minute", "Minuten"),
    "s": ("Sekunde", "Sekunden"),
    "ms": ("Millisekunde", "Millisekunden"), "kcal": ("Kilokalorie", "Kilokalorien"),
    "kWh": ("Kilowattstunde", "Kilowattstunden"), "Wh": ("Wattstunde", "Wattstunden"),
    "MWh": ("Megawattstunde", "Megawattstunden"),
})  # fmt: skip
_INVARIABLE = MappingProxyType({
    "km/h": "Kilometer pro Stunde", "m/s": "Meter pro Sekunde", "km²": "Quadratkilometer", "m²": "Quadratmeter",
    "cm²": "Quadratzentimeter", "m³": "Kubikmeter", "km": "Kilometer", "m": "Meter", "dm": "Dezimeter",
    "cm": "Zentimeter",
    "mm": "Millimeter", "µm": "Mikrometer", "μm": "Mikrometer", "nm": "Nanometer", "kg": "Kilogramm", "g": "Gramm",
    "mg": "Milligramm", "l": "Liter", "L": "Liter", "dl": "Deziliter", "cl": "Zentiliter", "ml": "Milliliter",
    "W": "Watt",
    "kW": "Kilowatt", "MW": "Megawatt", "GW": "Gigawatt", "V": "Volt", "mV": "Millivolt", "kV": "Kilovolt",
    "A": "Ampere",
    "mA": "Milliampere", "Hz": "Hertz", "kHz": "Kilohertz", "MHz": "Megahertz", "GHz": "Gigahertz", "Pa": "Pascal",
    "hPa": "Hektopascal", "bar": "Bar", "dB": "Dezibel", "kB": "Kilobyte", "KB": "Kilobyte", "MB": "Megabyte",
    "GB": "Gigabyte", "TB": "Terabyte", "Mbit/s": "Megabit pro Sekunde", "Gbit/s": "Gigabit pro Sekunde",
    "MB/s": "Megabyte pro Sekunde", "°C": "Grad Celsius", "°F": "Grad Fahrenheit", "°": "Grad", "%": "Prozent",
    "‰": "Promille", "ha": "Hektar",
})  # fmt: skip
_MONEY = MappingProxyType({
    "€": ("Euro", "Cent"), "EUR": ("Euro", "Cent"), "Euro": ("Euro", "Cent"), "$": ("Dollar", "Cent"),
    "USD": ("US-Dollar", "Cent"), "£": ("Pfund", "Pence"), "CHF": ("Franken", "Rappen"),
})  # fmt: skip
_SCALE = r"(?P<scale>\s(?:Millionen|Milliarden|Million|Milliarde|Tausend))?"
_UNIT = "|".join(map(re.escape, sorted([*_FEMININE, *_INVARIABLE], key=len, reverse=True)))
_CURRENCY = "|".join(map(re.escape, _MONEY))
_QUANTITY = re.compile(rf"(?<![\w.,/:^-])(?P<number>{NUMBER})\s?(?P<unit>{_UNIT})(?![\w²³/°])")
_SUM = re.compile(
    rf"(?<![\w.,/:-])(?P<number>{NUMBER}){_SCALE}\s?(?P<after>{_CURRENCY})(?!\w)"
    rf"|(?:\bUS)?(?P<before>[€$£])\s?(?P<amount>{NUMBER})(?![\w])"
)
_CENTS = 2


def said_quantities(text: str) -> str:
    """`text` in which numbers with a unit and sums of money are words."""
    return _QUANTITY.sub(_quantity, _SUM.sub(_sum, text))


def _quantity(found: re.Match[str]) -> str:
    unit, is_one = found["unit"], found["number"] == "1"
    if unit in _FEMININE:
        one, many = _FEMININE[unit]
        return f"eine {one}" if is_one else f"{number(found['number'])} {many}"
    return f"{'ein' if is_one else number(found['number'])} {_INVARIABLE[unit]}"


def _sum(found: re.Match[str]) -> str:
    amount = found["number"] or found["amount"]
    unit, small = _MONEY[found["after"] or found["before"]]
    before, _, after = amount.partition(",")
    if found["scale"]:
        return f"{'eine' if amount == '1' else number(amount)}{found['scale']} {unit}"
    if len(after) != _CENTS:
        return f"{'ein' if amount == '1' else number(amount)} {unit}"
    cents = after.lstrip("0")
    if before == "0" and cents:
        return f"{'ein' if cents == '1' else number(cents)} {small}"
    said = f"{'ein' if before == '1' else number(before)} {unit}"
    return f"{said} {number(cents)}" if cents else said
