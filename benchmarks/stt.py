"""What it saves to keep an engine that hears, to look at short clips no farther than they go, and to listen at once.

First, the same clips by an engine that stays, and by its bare library in a process that is started, loads its model,
hears one clip and ends, as programs do that call a command line for every request: pocketsphinx with its own model,
whisper.cpp with a stand-in of tiny.en's dimensions and made-up weights, which costs as much as the real one but hears
nothing. Of whisper.cpp that stays, once with the audio context fitted to the clip, EdgeVoice's default, and once with
the whole 30 s that the library looks at; `benchmarks.short_clips` has more on that.

Then pocketsphinx hears sentences that flite speaks: whole, once they are there, and live, in pieces of 100 ms at the
pace of speech. `wait` is from the last word to the transcript; errors are words to insert, drop or replace.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.command import add_usual, introduced, main
from benchmarks.keeping import kept_chart, kept_table, measure_keeping
from benchmarks.listening import Listened, listened_charts, listened_table, measure_listening
from benchmarks.outcome import Outcome, Verdict
from benchmarks.speech import spoken

AIM_MORE_ERRORS = 10.0
"""The most that hearing live is to add to the share of words that are wrong [% points]."""
SENTENCES: Sequence[str] = (
    "Turn on the light in the kitchen.",
    "What is the capital of France?",
    "Please close the window before it rains.",
    "How many days are there in a week?",
    "Tell me a story about a little fox.",
    "Wake me up at seven in the morning.",
    "Is there any milk left in the house?",
    "Play some quiet music for the evening.",
    "Where did I put the key of the car?",
    "Set the temperature to twenty degrees.",
    "Who wrote the book on the table?",
    "Remind me to call my mother tonight.",
    "What will the weather be like tomorrow?",
    "Open the door and let the dog out.",
    "Read me the news of today.",
    "How far is it to the next station?",
    "Start the washing machine at noon.",
    "Stop talking and listen to me.",
    "Which train goes to the city first?",
    "Write down that we need more bread.",
)
_LENGTHS_S: Sequence[int] = (1, 3, 10)
_SPEECH = 5


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes."""
    console = introduced(__doc__)
    rounds, lengths, sentences = 3, _LENGTHS_S, SENTENCES
    if arguments.quick:
        rounds, lengths, sentences = 1, _LENGTHS_S[:2], SENTENCES[:3]
    remarks: list[str] = []
    with console.status("Listening ..."):
        speech, *clips = await spoken([" ".join(SENTENCES[:_SPEECH]), *sentences], "flite")
        kept = await measure_keeping(speech, lengths, rounds, remarks)
        listened = await measure_listening(sentences, clips, remarks)
    return Outcome(
        "stt",
        {"rounds": rounds, "sentences": len(sentences)},
        [*kept, *listened],
        tables=[kept_table(kept), *([listened_table(listened)] if listened else [])],
        charts=[kept_chart(kept), *(listened_charts(listened) if listened else [])],
        verdicts=_verdicts(listened),
        remarks=remarks,
    ).tell(console, arguments.folder)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is heard, and where the figures go."""
    add_usual(parser, quick="two lengths of clip, three sentences, once: rough")


def _verdicts(listened: Sequence[Listened]) -> list[Verdict]:
    if not listened:
        return []
    whole, live = listened
    more = live.error_share - whole.error_share
    return [Verdict("Wrong words of a live clip beside a whole one", more, AIM_MORE_ERRORS, " points")]


if __name__ == "__main__":
    sys.exit(main("stt", __doc__, add_arguments, run))
