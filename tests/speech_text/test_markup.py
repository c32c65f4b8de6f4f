"""What was written for the eye is not said: markup, links, code, emoji, and what a model thinks to itself."""

import pytest

from agent.speech_text import speech_text

pytestmark = pytest.mark.once

EMPHASIS = {
    "**Bold**, *italic* and ***both***": "Bold, italic and both",
    "__bold__ and _italic_": "bold and italic",
    "**Note that the": "Note that the",
    "end** of a sentence": "end of a sentence",
    "un*frigging*believable": "unfriggingbelievable",
    "the ~~old~~ new one": "the new one",
    "==marked== and ||hidden||": "marked and hidden",
    "snake_case in prose": "snake case in prose",
    "\\*not emphasis\\*": "not emphasis",
}

LINES = {
    "# Title\n": "Title.",
    "## Is it? ##\n": "Is it?",
    "- a first clause,": "a first clause,",
    "- a first part": "a first part",
    "- milk\n": "milk.",
    "* **Eggs**: two\n": "Eggs: two.",
    "+ bread,\n": "bread,",
    "• tea\n": "tea.",
    "1. Bread\n": "One, Bread.",
    "12) Jam.\n": "Twelve, Jam.",
    "**3. Cheese**\n": "Three, Cheese.",
    "- [x] Buy milk\n": "Buy milk, done.",
    "- [ ] Buy milk\n": "Buy milk.",
    "> Quoted > twice": "Quoted more than twice",
    ">> Quoted": "Quoted",
    "---\n": "",
    "* * *\n": "",
    "Title\n=====": "Title",
    "| Name | Age |\n": "Name, Age.",
    "|:-----|----:|\n": "",
    "| Ann  | 3   | ✅ | ❌ |\n": "Ann, three, yes, no.",
    "Shopping\n- milk\n- eggs\n\nThat is all": "Shopping. milk. eggs. That is all",
    "One paragraph\n\nand another": "One paragraph. and another",
    "Roses are red,\nviolets are blue": "Roses are red, violets are blue",
}

LINKS = {
    'Read [the docs](https://example.com/a_(b)#c "Docs") now': "Read the docs now",
    "[![badge](b.svg)](https://example.com)": "badge",
    "![A cat](cat.png)": "A cat",
    "![](cat.png)": "",
    "[text][1] and [text][]": "text and text",
    "[1]: https://example.com": "",
    "[^1]: A footnote": "A footnote",
    "Paris[1] is big[^2] [3, 4].": "Paris is big.",
    "[[Page|the page]]": "the page",
    "See https://www.example.com/a/b?c=d#e.": "See example dot com.",
    "(https://en.wikipedia.org/wiki/A_(b))": "en dot wikipedia dot org",
    "<https://example.com>": "example dot com",
    "www.example.co.uk": "example dot co dot uk",
    "http://localhost:8080/x": "localhost",
    "[https://a.com](https://a.com)": "a dot com",
    "john.doe@example.com": "john dot doe at example dot com",
    "Open main.py": "Open main dot py",
}

CODE = {
    "`npm install --save-dev`": "npm install dash dash save-dev",
    "Call `getUserName()`.": "Call get User Name.",
    "`max_tokens` in `src/main.py`": "max tokens in src slash main dot py",
    "`https://example.com/a`": "example dot com",
    "``a`b`": "ab",
    "`unclosed": "unclosed",
    "```python\nprint(1)\n```": "See the code.",
    "Here:\n```\nx\n```\nDone.": "Here: See the code. Done.",
    "~~~sh\nls\n~~~": "See the code.",
    "```python\nunclosed": "See the code.",
    "```markdown\n# Hi\nthere\n```": "Hi. there",
}

TAGS = {
    '<b>Bold</b> &amp; <i class="x">it</i>': "Bold and it",
    "One<br>two": "One, two",
    "x<sup>2</sup>": "x squared",
    "&lt; &#9731; caf&eacute; &nosuch;": "less than café and nosuch;",
    "<your name>": "your name",
    "<!-- hidden -->shown": "shown",
    "a<b and c>d": "a less than b and c more than d",
}

FORMULAS = {
    "$x^2 + y^2 = z^2$": "x squared plus y squared equals z squared",
    "\\(\\frac{a}{b}\\)": "a over b",
    "$\\sqrt{2} \\approx 1.41$": "the square root of two about one point four one",
    "$$\\int_0^1 x dx$$": "the integral from zero to one of x dx",
    "$x_1 \\leq \\pi$": "x one at most pi",
    "$e^{-x}$ and $a^{-1}$": "e to the power of minus x and a inverse",
    "The answer is \\boxed{42}.": "The answer is forty-two.",
    "It costs $5 and not $10.": "It costs five dollars and not ten dollars.",
}

PICTURES = {
    "Great job! 🎉🚀": "Great job!",
    "🙂": "",
    "👩‍👩‍👧 and 👍🏽 and 🇩🇪": "and and",
    "✅ Done": "Done",
    "Status: ✅": "Status: yes",
    "1️⃣ First": "one First",
    "Hi :-) there ;) <3": "Hi there",
    "┌──┐": "",
    "©2024 Acme™": "twenty twenty-four Acme",
}

THOUGHTS = {
    "<think>Hm.\n\nOK.</think>Yes.": "Yes.",
    "<think>never closed": "",
    "never opened</think> Yes.": "Yes.",
    "<Thinking>a</Thinking><reasoning>b</reasoning>Yes.": "Yes.",
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.": "Yes.",
    "<|im_start|>assistant\nYes.<|im_end|>": "Yes.",
    "Assistant: Yes.": "Yes.",
    "**AI:** Yes.": "Yes.",
    "Yes.</s>": "Yes.",
    "I think <thinker> is a word": "I think thinker is a word",
}

NOTHING = ("", " \n\t", "...", "?!", "()", "**", "```", "|", "-", "\u200b", "\ud800")


@pytest.mark.parametrize(
    ("written", "said"),
    [pair for table in (EMPHASIS, LINES, LINKS, CODE, TAGS, FORMULAS, PICTURES, THOUGHTS) for pair in table.items()],
)
def test_markup_is_not_said(written, said):
    assert speech_text(written) == said


@pytest.mark.parametrize("written", NOTHING)
def test_where_nothing_can_be_said_nothing_is(written):
    assert speech_text(written) == ("See the code." if written == "```" else "")


def test_a_character_reference_may_have_any_number_of_digits():
    assert "five thousand digits" in speech_text(f"&#{'9' * 5000};")
