"""Numbers, units, money, dates, signs and abbreviations as they are said in English."""
# ruff: noqa: RUF001 - signs that look like others

import pytest

from agent.speech_text import speech_text

pytestmark = pytest.mark.once

NUMBERS = {
    "I have 42 of 101.": "I have forty-two of one hundred and one.",
    "1,234,567 people": "one million two hundred and thirty-four thousand five hundred and sixty-seven people",
    "Pi is 3.14.": "Pi is three point one four.",
    "It fell by .5 points": "It fell by zero point five points",
    "-5 or −5": "minus five or minus five",
    "the 1st, 22nd and 1,000th": "the first, twenty-second and one thousandth",
    "1/2 or 3/4 or 2 1/2 or 1½": "one half or three quarters or two and a half or one and a half",
    "7/16 and 22/7": "seven sixteenths and twenty-two over seven",
    "8/10, and 4.5/5 stars": "eight out of ten, and four point five out of five stars",
    "open 24/7": "open twenty-four seven",
    "10-20 or 5–7 people": "ten to twenty or five to seven people",
    "Room 007": "Room zero zero seven",
    "Python 3.10 and 3.12.1": "Python three point ten and three point twelve point one",
    "v2.1 or v3": "version two point one or version three",
    "at 192.168.0.1:8080": "at one nine two dot one six eight dot zero dot one port eight thousand and eighty",
    "MP3, H2O, COVID-19, GPT-4": "MP three, H two O, COVID nineteen, GPT four",
    "a 20-year-old car": "a twenty-year-old car",
    "2x faster": "two times faster",
    "10k users, 5M downloads": "ten thousand users, five million downloads",
    "#1 and No. 5": "number one and number five",
    "0x1F": "hex one F",
    "1,2,3": "one, two, three",
    "4111111111111111": "four " + " ".join(["one"] * 15),
    "9" * 300: "a number of three hundred digits",
    "3." + "3" * 40: "three point " + " ".join(["three"] * 12) + " and so on",
}

QUANTITIES = {
    "5 km, 1 km, 2.5km": "five kilometers, one kilometer, two point five kilometers",
    "at 100 km/h or 60 mph": "at one hundred kilometers per hour or sixty miles per hour",
    "20°C, -4 °F, 1℃": "twenty degrees Celsius, minus four degrees Fahrenheit, one degree Celsius",
    "Turn it 90°.": "Turn it ninety degrees.",
    "16 GB and 512MB of RAM": "sixteen gigabytes and five hundred and twelve megabytes of RAM",
    "8GB/256GB": "eight gigabytes two hundred and fifty-six gigabytes",
    "200 ms or 90s": "two hundred milliseconds or ninety seconds",
    "30 min.": "thirty minutes.",
    "3 kWh at 230 V": "three kilowatt-hours at two hundred and thirty volts",
    "120 m² or 3 m³": "one hundred and twenty square meters or three cubic meters",
    "12 m x 10 m": "twelve meters by ten meters",
    "5% of 1.5 kg": "five percent of one point five kilograms",
    "8–10%": "eight to ten percent",
    "2 GB/s, 5 mg/dL": "two gigabytes per second, five milligrams per deciliter",
    "30 tokens/s": "thirty tokens per second",
    "a 5 km run, a 5-km run": "a five kilometer run, a five kilometer run",
    "1/2 cup, 1/2 km, 1/2 h": "one half cup, half a kilometer, half an hour",
    "5'11\" or 5 ft 11 in": "five foot eleven or five foot eleven",
    "It takes 1h30.": "It takes one hour thirty minutes.",
    "measured in km/h": "measured in kilometers per hour",
    "5 in total, 5 a day": "five in total, five a day",
    "12px": "twelve pixels",
}

MONEY = {
    "It costs $5.20.": "It costs five dollars and twenty cents.",
    "$1, $1.00, $0.99, $0.01": "one dollar, one dollar, ninety-nine cents, one cent",
    "$1,000,000 or $1.5M": "one million dollars or one point five million dollars",
    "€5-10, $5-$10": "five to ten euros, five to ten dollars",
    "5 €, 5,20 €": "five euros, five euros and twenty cents",
    "£3.50 and ¥100": "three pounds and fifty pence and one hundred yen",
    "a $5 bill": "a five dollar bill",
    "-$20": "minus twenty dollars",
    "US$20 or 20 USD": "twenty U-S dollars or twenty dollars",
    "$5/hour": "five dollars per hour",
    "$2.5 billion": "two point five billion dollars",
}

DATES = {
    "on 2026-11-21": "on November twenty-first, twenty twenty-six",
    "2026-11-21T14:30:00Z": "November twenty-first, twenty twenty-six at fourteen thirty UTC",
    "12/25/2024": "December twenty-fifth, twenty twenty-four",
    "25/12/2024": "December twenty-fifth, twenty twenty-four",
    "3/4/2026": "March fourth, twenty twenty-six",
    "May 5, 2024": "May fifth, twenty twenty-four",
    "the 3rd of May 2021, on 5 June": "the third of May twenty twenty-one, on the fifth of June",
    "March 3–5": "March third to fifth",
    "Jan. 5": "January fifth",
    "Jan 2024 – Mar 2025": "January twenty twenty-four to March twenty twenty-five",
    "May I? In May 2024.": "May I? In May twenty twenty-four.",
    "in 1905, since 1850": "in nineteen oh-five, since eighteen fifty",
    "1500 people in 1999": "one thousand five hundred people in nineteen ninety-nine",
    "(1939-1945)": "nineteen thirty-nine to nineteen forty-five",
    "the 1990s and the '80s": "the nineteen nineties and the eighties",
    "at 14:30, 9:00, 14:05, 14:00": "at fourteen thirty, nine o'clock, fourteen oh five, fourteen hundred",
    "2:30 p.m. today": "two thirty P-M today",
    "It opens at 8 a.m.": "It opens at eight A-M.",
    "9am-5pm": "nine A-M to five P-M",
    "10:00-12:30": "ten o'clock to twelve thirty",
    "Mon-Fri": "Monday to Friday",
    "16:9 or 3:1": "sixteen to nine or three to one",
    "2026-13-45": "two thousand and twenty-six-thirteen-forty-five",
}

PHONES = {
    "Call (555) 123-4567.": "Call five five five, one two three, four five six seven.",
    "+1 555-123-4567": "plus one, five five five, one two three, four five six seven",
    "1-800-555-0199": "one, eight zero zero, five five five, zero one nine nine",
    "+49 30 901820": "plus four nine, three zero, nine zero one eight two zero",
    "Call 911 now": "Call nine one one now",
}

SIGNS = {
    "AT&T and R&D": "AT and T and R and D",
    "1 + 1 = 2, 5 - 3 = 2": "one plus one equals two, five minus three equals two",
    "2 * 3 = 6 and 2 × 3": "two times three equals six and two times three",
    "10 / 2": "ten divided by two",
    "x < 5, y >= 3, z != 4": "x less than five, y at least three, z not equal to four",
    "~5 or ≈5": "about five or about five",
    "x² + 10⁻³": "x squared plus ten to the power of minus three",
    "2^10, 6.02×10^23, 1e-5": (
        "two to the power of ten, six point zero two times ten to the power of twenty-three, "
        "one times ten to the power of minus five"
    ),
    "CO₂": "CO two",
    "f(x) = 3x": "f of x equals three x",
    "a -> b → c": "a, b, c",
    "10 → 20": "ten to twenty",
    "Settings > General > About": "Settings, General, About",
    "§5, 50 % & more": "section five, fifty percent and more",
    "C++, C#, Node.js": "C plus plus, C sharp, Node dot js",
    "100%": "one hundred percent",
    "and/or, TCP/UDP": "and or, TCP UDP",
    "@ann #HelloWorld": "at ann Hello World",
    "item(s)": "items",
    "Ωmega 5 kΩ": "omega mega five kiloohms",
}

ABBREVIATIONS = {
    "e.g. this, i.e. that": "for example this, that is that",
    "Apples, pears, etc.": "Apples, pears, et cetera.",
    "etc. are fine": "et cetera are fine",
    "Dr. Smith and Mr. Jones": "Doctor Smith and Mister Jones",
    "Mrs. Ali vs. Ms. Lee": "Missus Ali versus Miz Lee",
    "St. Louis, Main St. 5": "Saint Louis, Main Street five",
    "He lives on Elm St.": "He lives on Elm Street.",
    "approx. 5, p. 3, pp. 3-5, Fig. 2": "approximately five, page three, pages three to five, figure two",
    "No. I don't.": "No. I don't.",
    "w/ milk, w/o sugar": "with milk, without sugar",
    "the U.S. and the U.K.": "the U-S and the U-K.",
    "The API uses AI and a GPU.": "The A-P-I uses A-I and a GPU.",
    "APIs, iOS, IoT": "A-P-I's, i-O-S, I-O-T",
    "STOP IT US AND THEM": "STOP IT US AND THEM",
}

PAUSES = {
    "It is (really) good (yes).": "It is, really, good, yes.",
    "He said — well — no.": "He said, well, no.",
    "Well, if it rains,": "Well, if it rains,",
    "No!!! What?!?!": "No! What?",
    "Wait…… now": "Wait... now",
    "a , b;; c": "a, b; c",
    "“Hello,” she said. ‘Hi’": "Hello, she said. 'Hi'",
    "don’t": "don't",
    "well-known": "well-known",
    "two  spaces\tand\na line": "two spaces and, a line",
}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        pair
        for table in (NUMBERS, QUANTITIES, MONEY, DATES, PHONES, SIGNS, ABBREVIATIONS, PAUSES)
        for pair in table.items()
    ],
)
def test_it_is_said_as_a_person_would(written, said):
    assert speech_text(written) == said
    assert speech_text(written, language="en-US") == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("on 2026-11-21", "on the twenty-first of November twenty twenty-six"),
        ("3/4/2026", "the third of April twenty twenty-six"),
        ("It costs £5.", "It costs five pounds."),
    ],
)
def test_a_briton_says_the_day_first(written, said):
    assert speech_text(written, language="en-GB") == said
    assert speech_text(written, language="en_gb") == said
