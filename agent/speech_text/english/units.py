"""Quantities in English: numbers with their units."""

from __future__ import annotations

import re
from types import MappingProxyType

from agent.speech_text.english.maths import fraction, mixed, prepared
from agent.speech_text.english.numbers import NUMBER, number, whole

_BY_SCALE = MappingProxyType({
    "meter": {"km": "kilo", "m": "", "dm": "deci", "cm": "centi", "mm": "milli", "µm": "micro", "μm": "micro",
    "nm": "nano"},
    "gram": {"kg": "kilo", "g": "", "mg": "milli", "µg": "micro", "μg": "micro"},
    "liter": {"l": "", "L": "", "dl": "deci", "dL": "deci", "cl": "centi", "cL": "centi", "ml": "milli", "mL": "milli"},
    "second": {"s": "", "sec": "", "ms": "milli", "µs": "micro", "μs": "micro", "ns": "nano"},
    "watt": {"W": "", "mW": "milli", "kW": "kilo", "MW": "mega", "GW": "giga"},
    "watt-hour": {"Wh": "", "kWh": "kilo", "MWh": "mega", "GWh": "giga"},
    "volt": {"V": "", "mV": "milli", "kV": "kilo"},
    "amp": {"mA": "milli"},
    "amp-hour": {"Ah": "", "mAh": "milli"},
    "ohm": {"Ω": "", "kΩ": "kilo", "MΩ": "mega"},
    "joule": {"kJ": "kilo", "MJ": "mega"},
    "calorie": {"cal": "", "kcal": "kilo"},
    "pascal": {"Pa": "", "hPa": "hecto", "kPa": "kilo", "MPa": "mega"},
    "byte": {"KB": "kilo", "kB": "kilo", "MB": "mega", "GB": "giga", "TB": "tera", "PB": "peta",
             "KiB": "kibi", "MiB": "mebi", "GiB": "gibi", "TiB": "tebi"},
    "bit": {"kbit": "kilo", "Mbit": "mega", "Gbit": "giga"},
    "bit per second": {"bps": "", "kbps": "kilo", "Mbps": "mega", "Gbps": "giga"},
    "pixel": {"px": "", "MP": "mega"},
})  # fmt: skip
_INVARIABLE = MappingProxyType({
    "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "mph": "miles per hour",
    "kph": "kilometers per hour", "km/h": "kilometers per hour", "kmh": "kilometers per hour",
    "m/s": "meters per second",
    "rpm": "revolutions per minute", "fps": "frames per second", "bpm": "beats per minute", "dpi": "dots per inch",
    "ppm": "parts per million", "psi": "P-S-I", "dB": "decibels", "lx": "lux", "%": "percent", "‰": "per mille",
})  # fmt: skip
_OTHER = MappingProxyType({
    "°C": ("degree Celsius", "degrees Celsius"), "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"), "h": ("hour", "hours"), "hr": ("hour", "hours"), "hrs": ("hour", "hours"),
    "min": ("minute", "minutes"), "mins": ("minute", "minutes"), "secs": ("second", "seconds"), "yr": ("year", "years"),
    "yrs": ("year", "years"), "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"), "oz": ("ounce", "ounces"),
    "ft": ("foot", "feet"), "in": ("inch", "inches"), "yd": ("yard", "yards"), "mi": ("mile", "miles"),
    "tsp": ("teaspoon", "teaspoons"), "tbsp": ("tablespoon", "tablespoons"), "gal": ("gallon", "gallons"),
    "ha": ("hectare", "hectares"), "lm": ("lumen", "lumens"), "A": ("amp", "amps"), "tok": ("token", "tokens"),
    "m²": ("square meter", "square meters"), "m2": ("square meter", "square meters"),
    "km²": ("square kilometer", "square kilometers"), "km2": ("square kilometer", "square kilometers"),
    "cm²": ("square centimeter", "square centimeters"), "mm²": ("square millimeter", "square millimeters"),
    "ft²": ("square foot", "square feet"), "sq ft": ("square foot", "square feet"),
    "sqft": ("square foot", "square feet"),
    "m³": ("cubic meter", "cubic meters"), "m3": ("cubic meter", "cubic meters"),
    "cm³": ("cubic centimeter", "cubic centimeters"), "ft³": ("cubic foot", "cubic feet"),
})  # fmt: skip


def _units() -> dict[str, tuple[str, str]]:
    units = dict(_OTHER) | {sign: (name, name) for sign, name in _INVARIABLE.items()}
    for name, scaled in _BY_SCALE.items():
        first, _, rest = name.partition(" ")
        units |= {
            sign: (f"{scale}{name}", f"{scale}{first}s{' ' + rest if rest else ''}") for sign, scale in scaled.items()
        }
    return units


_UNITS = MappingProxyType(_units())
_ONLY_TIGHT = frozenset({"in", "A"})
"""A space before them, and they are a word."""

_SIGN = "|".join(map(re.escape, sorted(_UNITS, key=len, reverse=True)))
_PER = r"(?:/(?P<per>" + _SIGN + r"|[a-z]{2,12}))?"
_QUANTITY = re.compile(
    rf"(?P<article>\b[Aa]n? )?(?<![\w.,^])(?<![0-9]/)(?P<number>{NUMBER})(?P<gap>[\s-]?)"
    rf"(?P<unit>{_SIGN}){_PER}(?![\w²³°]|/(?![0-9]))"
)
_ALONE = re.compile(r"(?<![\w/])(?:km/h|m/s|kWh|[kMG]Hz|[kMGT]B/s|mph|°[CF]|k?m²)(?![\w/²])")
_FRACTION = re.compile(
    rf"(?<![\w/.:,-])(?:(?P<whole>[0-9]{{1,3}})[ -])?(?P<above>[0-9]{{1,3}})/(?P<below>[0-9]{{1,2}})"
    rf"\s?(?P<unit>{_SIGN})(?![\w²³/])"
)
_HEIGHT = re.compile(
    r"(?<![\w.])([0-9]{1,2})(?:'\s?([0-9]{1,2})(?:\"|''|(?=[\s,.;)]|\Z))|\s?ft\.?\s([0-9]{1,2})\s?in\b\.?)"
)
_RATE = re.compile(
    r"(?<=[a-z])/(?=(?:s|sec|second|min|minute|h|hr|hour|day|week|month|year|night|person|user|kg|GB|MB)\b)"
)
_RATE_UNIT = MappingProxyType({"s": "second", "sec": "second", "min": "minute", "h": "hour", "hr": "hour"})
_PER_UNIT = re.compile(rf"\bper ({_SIGN})(?![\w²³/])")
_FOLLOWED = re.compile(r"\s[a-z]")


def said_quantities(text: str) -> str:
    """`text` in which numbers with a unit are words; signs before numbers and between them are, too."""
    said = _HEIGHT.sub(lambda found: f"{whole(found[1])} foot {whole(found[2] or found[3])}", text)
    said = _FRACTION.sub(_fraction, prepared(said))
    said = _QUANTITY.sub(_quantity, said)
    said = _RATE.sub(" per ", said)
    return _PER_UNIT.sub(lambda found: f"per {_RATE_UNIT.get(found[1]) or _UNITS[found[1]][0]}", said)


def said_units(text: str) -> str:
    """`text` in which units without a number, as in "km/h", are words."""
    return _ALONE.sub(_unit, text)


def _unit(found: re.Match[str]) -> str:
    one, _, per = found[0].partition("/")
    return _UNITS[found[0]][1] if found[0] in _UNITS else f"{_UNITS[one][1]} per {_RATE_UNIT[per]}"


def _quantity(found: re.Match[str]) -> str:
    unit, article = found["unit"], found["article"] or ""
    if found["gap"] and unit in _ONLY_TIGHT:
        return found[0]
    one, many = _UNITS[unit]
    describes = found["gap"] == "-" or (article and _FOLLOWED.match(found.string, found.end()))
    said = f"{article}{number(found['number'])} {one if found['number'] == '1' or describes else many}"
    if not found["per"]:
        return said
    return f"{said} per {_RATE_UNIT.get(found['per']) or _UNITS.get(found['per'], (found['per'], ''))[0]}"


def _fraction(found: re.Match[str]) -> str:
    one, many = _UNITS[found["unit"]]
    if found["whole"]:
        return f"{whole(found['whole'])} and {mixed(found['above'], found['below'])} {many}"
    article = "an" if one.startswith(("hour", "inch", "ounce", "amp", "ohm")) else "a"
    said = fraction(found["above"], found["below"])
    return f"half {article} {one}" if said == "one half" else f"{said} of {article} {one}"
