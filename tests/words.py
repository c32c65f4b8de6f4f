"""How well words were heard."""

import re


def word_errors(said: str, heard: str) -> int:
    """Words to insert, drop or replace to make one of the other."""
    one, other = (re.findall(r"[a-z']+", text.lower()) for text in (said, heard))
    row = list(range(len(other) + 1))
    for number, word in enumerate(one, 1):
        before, row[0] = row[0], number
        for place, candidate in enumerate(other, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != candidate))
    return row[-1]
