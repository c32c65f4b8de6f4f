"""Words that tell where a sentence ends and a speaker may draw breath: casefolded, abbreviations without last stop."""

from __future__ import annotations

from agent.pipeline.sentences.signs import APOSTROPHE, CLOSING_QUOTE, OPENING


def plain(word: str) -> str:
    """`word` as it stands here: without what encloses it, and its full stop."""
    return word.rstrip(CLOSING_QUOTE).removesuffix(".").lstrip(OPENING).casefold()


def stem(name: str) -> str:
    """`name` without what hangs on it: "it" for "it's"."""
    return name.replace(APOSTROPHE, "'").partition("'")[0]


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


GOES_ON = _words(
    "mr mrs ms mx dr prof st mt gen col maj capt cmdr lt sgt rev hon gov sen rep supt messrs",
    "vs e.g eg i.e ie viz cf approx ca resp incl excl esp feat",
    "z.b d.h u.a u.ä o.ä s.o s.u i.d.r bzw ggf evtl vgl sog inkl exkl zzgl abzgl bspw insb hl fr frl dipl ing geb",
    "mme mlle mgr p.ex sra srta dra uds p.ej av avda sig dott",
)
"""Abbreviations in front of what belongs to them: none ends a sentence."""

BEFORE_NUMBERS = _words(
    "no nos nr n° nº núm num p pp pg pag pág fig figs vol vols ch chap sec sect eq art arts abs bd bde kap ziff tab",
    "abb op ex ver v ext rm tel jan feb mar apr jun jul aug sep sept oct nov dec",
)
"""Abbreviations only in front of a number: "No. 5", but "No. I do not."."""

STREET = "str"
"""German streets end in it, before the number of a house."""

MAY_END = _words(
    "etc usw usf ecc al inc ltd co corp llc plc bros jr sr ave blvd rd str dept univ min max mins hr hrs lb lbs oz",
    "mio mrd tsd prod v.chr n.chr",
)
"""Abbreviations that stand in the middle of a sentence and at its end alike: the next word tells."""

OPENERS = _words(
    "a an the i it he she we you they this that these those there here my your his her its our their",
    "how what when where why who which is are was were do does did can could will would should have has had may might",
    "if in on at but and or so for from by with to as after before then now however also once while although because",
    "since not no yes let please each every all some many most both one another",
    "der die das ein eine einer es er sie wir ihr ich dies diese dieser dieses im am und aber oder dann danach doch",
    "wenn wie was wo wer warum wann auch nach bei mit für auf seit",
    "le la les un une des il elle ils elles nous vous je tu on ce cette ces et mais puis c j l où si dans pour",
    "el los las una yo ella ellos es esto esta este pero y luego si lo gli",
)
"""What sentences like to begin with; names do not."""

BEFORE_ORDINALS = _words("am im vom zum zur beim der die das dem den des ab bis seit jeder jede jedes jeden jedem")
"""In German, a number with a full stop after one of these is an ordinal: "am 3. Mai"."""

AFTER_ORDINALS = _words(
    "januar jänner februar märz april mai juni juli august september oktober november dezember",
    "jahrhundert jahrhunderts jahrtausend weltkrieg weltkriegs stock etage klasse kapitel platz mal lebensjahr",
)
"""In German, what a number with a full stop may count."""

CONJUNCTIONS = _words(
    "and but or because which who whose where when while if since although though unless until that",
    "und aber oder weil dass ob wenn während sondern damit obwohl",
    "et mais ou parce qui quand lorsque car y pero porque cuando aunque perché mas maar omdat",
)
"""A speaker draws breath before them first of all."""

PHRASES = _words(
    "to in on at for with from by about into through during after before between under over without across around",
    "near behind beside below above against towards within despite like",
    "the a an",
    "mit von zu bei nach aus auf für über um durch gegen ohne zwischen der den dem ein eine einen einem einer",
    "dans sur pour avec par sans chez vers entre le les un une con para sin sobre desde hasta el los las una",
)
"""A speaker may draw breath before them, where there is no better place."""

LEANING = (
    CONJUNCTIONS
    | PHRASES
    | _words(
        "of as so than per via is are was were am be been being has have had will would can could may might must shall",
        "should do does did not no very more most too just quite my your his her its our their this these those",
        "i we you he she it they",
        "im am vom zum zur beim ins ans in an die das des ist sind war hat haben wird werden kann nicht sehr mein dein",
        "sein ihr unser euer ich du er sie es wir",
        "de du des à au aux en la l d est sont ne pas très je tu il elle nous vous ils elles ce cette",
        "del al que es son no muy mi tu su se lo di da il lo gli per van het te op voor",
    )
)
"""Nobody draws breath after them."""
