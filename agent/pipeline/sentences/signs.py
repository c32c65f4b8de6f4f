"""The signs that end, divide and enclose what is written, of all scripts."""
# ruff: noqa: RUF001 - none of them stands here for one that looks like it

ENDING_ANYWHERE = frozenset("。！？｡।॥۔؟։።။។")
"""Ends of sentences that need no space after them."""
ENDING = frozenset(".!?…‽") | ENDING_ANYWHERE
FADING = frozenset(".…")
"""Of these, those that stand within a sentence as well."""
DIVIDING_ANYWHERE = frozenset("，；：、—،؛")
"""Ends of clauses that need no space after them."""
DIVIDING = frozenset(",;:–") | DIVIDING_ANYWHERE
HYPHENS = frozenset({"-", "--"})
"""They divide where they stand between two words."""

CLOSING = "\"'”’»›)]}*_`~」』）】〉》"
"""What may stand between the last sign of a sentence and the space after it."""
CLOSING_QUOTE = CLOSING + "“«‹"
"""The same where a space follows: a German quotation, which begins with „ or », has ended."""
OPENING = "\"'“„‚«»‹›([{*_`~「『（【〈《¿¡—–-"
"""What may stand before the first word of a sentence."""
CLOSING_ONLY = frozenset(")]}”")
"""What never begins anything."""
AMBIDEXTROUS = frozenset('"«»“')
"""What closes a quotation where one is open."""
APOSTROPHE = "’"

OPEN_BRACKETS = frozenset("[({（「『《【")
CLOSED_BRACKETS = frozenset("])}）」』》】")
PAIRED = r"`+|\*\*|[\[\](){}“”„«»\"（）「」『』《》【】]"
"""Matches whatever has to be closed again."""
