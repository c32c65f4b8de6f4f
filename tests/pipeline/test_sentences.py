"""Where an answer is cut to be spoken: ‖ marks it, in many languages and layouts."""
# ruff: noqa: RUF001 - signs of many scripts

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.pipeline.sentences import Sentences

pytestmark = pytest.mark.once

LEAD = "This was said before. "
"""With that the listener has something to hear, and the rest is cut at the ends of its sentences."""

ENGLISH = [
    "Hello to the World. ‖My name is Jonas.",
    "What is your name? ‖My name is Jonas.",
    "There it is! ‖I found it there.",
    "My name is Jonas E. Smith.",
    "Please turn to p. 55. ‖It is all there.",
    "Were Jane and co. at the party?",
    "They closed the deal with Pitt, Briggs & Co. at noon.",
    "Let's ask Jane and co. ‖They should know.",
    "I can see Mt. Fuji from here.",
    "St. Michael's Church is on 5th st. near the light.",
    "That is JFK Jr.'s book.",
    "I visited the U.S.A. last year.",
    "I live in the E.U. ‖How about you?",
    "I work for the U.S. Government in Virginia. ‖It's far away.",
    "At 5 a.m. Mr. Smith went to the bank. ‖He left the bank at 6 P.M. ‖Then he went to the store.",
    "She has $100.00 in her bag. ‖She has $100.00. ‖It is in her bag.",
    "He teaches science (He worked for 5 years as an engineer.) at the University.",
    "Her email is Jane.Doe@example.com. ‖I sent her an email.",
    "The site is https://www.example.50.com/a/b_c.html?q=1. ‖Please check it out.",
    "She turned to him, 'This is great.' she said.",
    'She turned to him, "This is great!" she said.',
    'She turned to him, "This is great." ‖She held the book out to show him.',
    'He left us there. ‖"Hello, all of you." ‖Then there was silence.',
    "Nobody knows it?? ‖Who is there, then?!! ‖That is you!",
    "You can find it at N°. 1026.253.553. ‖That is where the treasure is.",
    "We make a good team, you and I. ‖Did you see Albert I. Jones yesterday?",
    "J. R. R. Tolkien wrote it. ‖J. S. Bach did not, nor did W. A. Mozart.",
    "Life will appear less complex. . . . ‖That is all of it.",
    "I never meant that.... ‖She left the store.",
    "The sky is... blue, as I said… or so. ‖It was grey before.",
    "Bring fruit, e.g. Apples, i.e. Boskoop, etc. ‖The rest is there, etc. and so on.",
    "Version 2.0.1 is out. ‖See main.py and .NET for 1,000.5 of them at 10:30. ‖That is it.",
    "It was in 1945. ‖They had 3. ‖You had 5. ‖It is done.",
    "Was it vs. Germany, No. 5 or Fig. 3? ‖The answer is no. ‖Then it was Oct. 5 in Ohio.",
    "It has vitamin C. ‖That is what it needs, not plan B. ‖Do you see?",
    "It is here (see below). ‖(There is more of it.) ‖And then it ends.",
    "It ended in 1990.[1] ‖The rest is history.[2][3]",
    "It takes ca. 5 min. ‖Then Dr. No and Prof. Yes come, Jan. 3 at the latest.",
    "The Ph.D. Thesis of John Doe Inc. ‖It is long.",
    "Is it true?Yes it is true.No it is not.",
    "A smile :( is no bracket. ‖Here it goes on. ‖And on and on.",
]
OTHER_LANGUAGES = [
    "Am 3. Mai ist z. B. der 2. Weltkrieg vorbei. ‖Das war 1945. ‖Danach kam der Frieden.",
    "Dr. Müller wohnt im 3. Stock, d. h. ganz oben. ‖Er ist nett.",
    "Es kostet ca. 5 Mio. Euro usw. ‖Das ist sehr viel, bzw. Zu viel.",
    "Heute ist Montag, 3. Oktober. ‖Es sind noch 12. ‖Die Sonne scheint.",
    "Er sagte: „Komm doch her.“ ‖Sie ging, usw. und so fort. ‖»Warum nur nicht?« ‖Er schwieg lange.",
    "In der Hauptstr. 5 wohnt u. a. Frau Dr. h. c. Anna K. Maier.",
    "« Bonjour à tous ! » dit-il. ‖Comment ça va ? ‖Très bien, merci à vous ! ‖Au revoir.",
    "M. Dupont est là. ‖Il dit « oui, oui. » ‖Mme. Durand n’est pas là.",
    "¡Hola a todos! ‖¿Cómo estás hoy? ‖Muy bien, gracias.",
    "El Sr. García vive en la Av. Bolívar. ‖¿Lo conoces bien? ‖Sí, p. ej. del bar.",
    "Il sig. Rossi è qui. ‖Ha portato pane, vino, ecc. ‖Gli altri non vengono.",
    "你好，很高兴认识你。‖今天天气很好，我们去公园吧！‖“好的，没有问题。”‖他说完就走了。",
    "真的是这样吗？！‖我还是不知道……‖圆周率是3.14。‖对不对？",
    "Mixed 中文 and English. ‖这是中文的句子。‖Back to English.",
    "今日はとても良い天気ですね。‖散歩に行きましょうか？‖「はい。」と彼女は言った。‖（本当のことです。）‖終わりました。",
    "मेरा नाम राम है। ‖मैं दिल्ली में रहता हूँ। ‖आप कैसे हैं?",
    "مرحبا بك يا صديقي. ‖كيف حالك اليوم؟ ‖أنا بخير، شكرا لك.",
    "یہ پہلا جملہ ہے۔ ‖یہ دوسرا جملہ ہے۔",
    "Τι κάνεις εσύ σήμερα; ‖Είμαι πολύ καλά.",
    "Սա առաջին նախադասությունն է։ ‖Սա երկրորդն է։",
    "Привет всем вам! ‖Как твои дела? ‖Всё хорошо, т. е. отлично, и т. д. и т. п. в общем.",
    "안녕하세요 여러분 모두. ‖오늘 날씨가 정말 좋네요. ‖산책 갈까요?",
]
LAYOUT = [
    "Here is what we need:\n\n‖1. Bread\n‖2. Milk and eggs\n‖3. Butter. The salted one is better.\n\n‖Enjoy your meal!",
    "- apples\n‖- pears\n  ‖- green ones\n‖* plums\n‖• figs",
    "1) Mix\n‖2) Bake\n‖(3) Eat\n‖a) Hot\n‖iv. Cold\n‖**5.** Never",
    "In summary, do this: 1. Mix the flour. ‖2. Add the eggs. ‖3. Bake it all.",
    "1.) The first item. ‖2.) The second item.",
    "# What is it? A guide\n\n‖It is a test.\n‖## And why?\n‖Well",
    "| Name | Age |\n‖|---|---|\n| Ann B. The elder | 3 |\n‖| Bob. Not Rob. | 5 |\n\n‖That was it.",
    "One line\n‖Another line\n\n‖A paragraph",
    "Roses are red\n‖violets are blue\n‖sugar is sweet",
    "The text was wrapped by an editor at about\nsixty characters, as it often is. ‖This is the\n‖End",
    "---\n\nNext one is here.\n‖* * *\nDone",
    "1.\n2. Two things here.\n",
    "> 1. Quoted item here\n‖> 2. Another",
    "**Note this well.** ‖*It does matter.* ‖__Do not touch it.__ ‖Ever again, please.",
    "Use `a. B` or `x? Y` here. ‖Go to [the docs. Really](https://x.y/a.b?c=d) for it. ‖That is it.",
    "Run this:\n\n‖```sh\nls -l. A b\n\necho Hi. There\n```\n\n‖Then look at it. ‖It works well.",
    "Look at it:\n   ‖```py\n   x = 1\n   ```\n‖Step two is easy.",
    "````md\n```\nIn. Here\n```\n````\n‖Out here now.",
    "~~~\nSome. Code\n~~~\n‖And ~~~ this is none. ‖It is not.",
    "Here is the code: ```python\nprint('Hi. There')\n```\n‖It is done now.",
    "Type ```ls -l. Then``` and see. ‖It is done now.",
    "```\nIt was. Never closed\n\nAnd goes. On",
    "<think>\nOkay, so. The user wants.\n\nHi.\n</think>\n\n‖Hello there to you! ‖How are you?",
    "Now this.‖<THINKING>\nNo. Or so.\n</THINKING>‖Hello there to you.",
    "The tag `<think>` begins it. ‖And `</think>` ends it.",
    "<think>It was. Never closed",
    "Why? Because it rains, and it pours. ‖Yes. It does so. ‖No! Never ever.",
    "It is 5 > 3. ‖And 3 < 5. ‖Is a<b? ‖It is so.",
    "Look at this 😊! ‖🎉 That is great! ‖🎉",
]
FIRST = [
    "   \n\n  Hello there all. \n‖Bye",
    "Yes. ‖It is raining in Paris, ‖so take an umbrella, and a coat.",
    "OK! ‖I will turn on the light in the kitchen ‖and the hall.",
    "Hello! ‖How can I help you?",
    "好。‖没问题。",
    "When it rains, ‖it pours, and it does so for a long time.",
    "In short, the answer is yes: ‖it works, as far as I know.",
    "Paris, France, is nice; ‖London is too.",
    "It is 10:30 now 5, 6 past, ‖and 3,5 of it are gone.",
    "From 10 – 20 people may come – ‖or so.",
    "Paris — the capital of France — ‖is nice – really.",
    "Paris - the capital - ‖is nice - really.",
    "The **very, very long** name (and, well, more) is “one, two” here, ‖and so on.",
    "See [one, two, and three](http://a.b/c,d), ‖then `x, y and z`, or go.",
    "The capital of France is the city of Paris.",
    "Photosynthesis is the process by which green plants use sunlight ‖to make food from air and water.",
    "Cats sleep a lot every day ‖because they hunt at night and in the morning.",
    "Let me explain how this whole complicated machine inside your computer actually ‖works in practice today.",
    "They say that the good old President George Washington Irving Junior Smith ‖never lied.",
    "It says that the price has now gone up 5 percent ‖to 700 thousand.",
    "The book that Dr. Smith wrote is long ‖and not easy.",
    "Die Hauptstadt von Frankreich liegt seit langer Zeit ‖an der Seine.",
    "首先，我们需要准备三个鸡蛋、‖一杯牛奶和一些面粉。‖然后开始。",
    "สวัสดีครับวันนี้อากาศดีมากเราไปเดินเล่นกันเถอะ ‖แล้วก็กลับบ้าน",
    "# A heading that has many words, and a comma, and is said in one go all the same\n‖Now, then, and there, we go.",
    "| One cell that is long | Another, with a comma, and more | A third one of them |\n‖Yes",
    "<think>So, this is a long, long story, and so on.</think>‖Yes, this is it, ‖and so on.",
    "```\nx, y and z, and so on\n```\n‖Yes, this is it, ‖and so on.",
    "hi there. ‖how are you? ‖i am fine, e.g. today. ‖see you then.",
]


def pieces(marked):
    return [piece for piece in marked.split("‖") if piece]


def cut(text, **options):
    sentences = Sentences(**options)
    return sentences.feed(text) + sentences.end()


@pytest.mark.parametrize("marked", ENGLISH + OTHER_LANGUAGES + LAYOUT)
def test_sentences_are_cut_at_their_ends(marked):
    said = pieces(LEAD + "\n‖" + marked)
    assert cut("".join(said)) == said


@pytest.mark.parametrize("marked", FIRST)
def test_the_first_piece_is_early(marked):
    assert cut("".join(pieces(marked))) == pieces(marked)


def test_how_early_can_be_chosen():
    text = "Photosynthesis is the process by which green plants use sunlight to make food from air and water."
    assert cut(text, first_words=4)[0] == "Photosynthesis is the process "
    assert (
        cut(text, first_words=14)[0]
        == "Photosynthesis is the process by which green plants use sunlight to make food from air "
    )


@pytest.mark.parametrize(
    ("written", "comes", "said"),
    [
        ("Hello there. ", "H", "Hello there. "),
        ("Is it? ", "i", "Is it? "),
        ("It is 3.", "5", None),
        ("It is Dr. ", "S", None),
        ("It is 3 p.m. Th", "e", None),
        ("It is 3 p.m. The ", "n", "It is 3 p.m. "),
        ("Look here\n", "A", "Look here\n"),
        ("- One\n", "-", "- One\n"),
        ("Look at this now ", ",", None),
        ("Look at this, ", "n", "Look at this, "),
        ("你好吗？", "我", "你好吗？"),
        ("你好吗？", "！", None),
        ("他说：“你好吗？", "”", None),
        ("Cats sleep a lot every day an", "d", None),
        ("Cats sleep a lot every day and ", "h", "Cats sleep a lot every day "),
        ("Look:\n\n``", "`", "Look:\n\n"),
        ("```\nx\n```\n", "N", "```\nx\n```\n"),
        ("<think>Hm.</think>", "N", "<think>Hm.</think>"),
    ],
)
def test_a_piece_is_there_as_soon_as_it_is_certain_and_no_sooner(written, comes, said):
    sentences = Sentences()
    assert "".join(sentences.feed(written)) + "".join(sentences.feed(comes)) == (said or "")


def test_a_long_sentence_is_cut_after_a_clause():
    clauses = [f"Then came number {number} of the many that there are, " for number in range(10)]
    said = cut(LEAD + "".join(clauses))
    assert said == [LEAD, "".join(clauses[:5]), "".join(clauses[5:])]


def test_a_text_without_marks_is_cut_between_words():
    said = cut(LEAD + "Word " * 200)
    assert [len(piece) for piece in said[1:]] == [300, 300, 300, 100]


@pytest.mark.parametrize("letter", ["ก", "好", "あ"])
def test_a_script_without_spaces_is_cut_between_letters(letter):
    said = cut(LEAD + letter * 1_000)
    assert all(200 <= len(piece) <= 300 for piece in said[1:-1])


def test_an_address_is_not_cut_however_long():
    address = "https://example.com/" + "a/b?c=d,e." * 100
    assert cut(f"{LEAD}It is at {address} for now.") == [LEAD, "It is at ", address + " ", "for now."]


fragments = st.sampled_from(
    [
        *"abI5.!?…,;:—–-\n\"'()[]*_`|#>。！？，、「」「”“„«»؟।と好ก\u0e31",
        *(" ", " ", " ", "\n\n", "\u00a0", "\r\n", "**", "...", "1. ", "- ", "| ", "# ", "[1]", "Word", "word", "and"),
        *("Mr. ", "U.S. ", "a.m. ", "z. B. ", "am 3. Mai ", "etc. ", "The ", "https://a.b/c. ", "καλά;", "No. 5"),
    ]
)
blocks = st.sampled_from(["```", "\n```\n", "~~~", "<", "<think>", "</think>", "</", ">", "`", "<b>"])


@given(text=st.lists(fragments | blocks | st.text(max_size=3), max_size=60).map("".join), data=st.data())
def test_however_it_arrives_the_same_is_said_and_all_of_it(text, data):
    whole = cut(text)
    assert "".join(whole) == text
    assert all(whole)
    steps = data.draw(st.lists(st.integers(1, 9), min_size=1))
    for sizes in ([1], steps):
        sentences, said, at = Sentences(), [], 0
        while at < len(text):
            size = sizes[at % len(sizes)]
            said += sentences.feed(text[at : at + size])
            at += size
        assert said + sentences.end() == whole


@given(text=st.lists(fragments.filter(lambda each: "`" not in each), max_size=300).map("".join))
def test_each_piece_has_something_to_say_and_none_is_long(text):
    said = cut(text)
    assert all(any(letter.isalnum() for letter in piece) for piece in said[:-1])
    assert all(len(piece.strip()) <= 300 or len(piece.split()) == 1 for piece in said)


def steps_taken(text):
    """How many calls it takes to cut `text`, fed letter by letter."""
    steps = 0

    def count(*_):
        nonlocal steps
        steps += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        sentences = Sentences()
        for letter in text:
            sentences.feed(letter)
        sentences.end()
    finally:
        sys.setprofile(before)
    return steps


@pytest.mark.parametrize(
    "text",
    [
        "It is so. ",
        "word ",
        "a",
        "a, ",
        "好",
        "1. ",
        "(",
        "[1]",
        '".',
        "<",
        "** ",
        "`",
        "~",
        "\n",
        "- a\n",
        "```\nx = 1\n",
    ],
)
def test_a_text_twice_as_long_is_twice_the_work(text):
    assert steps_taken(text * 800) < 2.1 * steps_taken(text * 400)
    assert steps_taken("```\n" + text * 800) < 2.1 * steps_taken("```\n" + text * 400)
