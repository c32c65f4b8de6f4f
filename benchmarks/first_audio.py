"""From the end of a question to the first sound of its answer, and to the last of it.

EdgeVoice over MQTT, which speaks sentence by sentence while the answer is still being written, against the server one
would write first, over HTTP, with the same engines, the same model, prompts and lengths: pocketsphinx, llama.cpp with
SmolLM2, espeak-ng or flite. That server hears the whole clip, writes the whole text, speaks it as one WAV. Once with
its engines kept in memory, as EdgeVoice's are, so that only the order differs; once with a process for each stage,
which loads its model each time. It is benchmarks.peers.naive_server, started here.

Typed questions are answered by 1, 3 and 8 sentences: the model is asked once before for how many tokens it needs to
get so far, and may write no more then; with flite only, for what differs is the order of things. Each is another
question, so that nobody knows its beginning by heart. Spoken questions take 3 s, in flite's voice; 48 tokens answer.
EdgeVoice gets them whole, after they were spoken, or live, in pieces of 100 ms while they are being spoken; the time
counts from the last word. All are asked in turn, every second round backwards; a ratio is the median of the rounds.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from shutil import which

from rich.table import Table

from agent.contract.messages import Message, Sampling
from agent.contract.terms import Role
from agent.engines.base import AsyncLanguageModel
from agent.engines.settings import EngineSettings
from benchmarks.command import add_usual, introduced, main, table
from benchmarks.outcome import Outcome, Verdict
from benchmarks.peers.voice import SYSTEM, Peer, Question, peers
from benchmarks.plot import Chart
from benchmarks.rounds import in_turn, ratio
from benchmarks.speech import spoken, writing
from benchmarks.spread import Spread

AIM_LIVE = {"espeak": 7.0, "flite": 5.0}
"""How many times sooner than from a process per stage the first sound of a live clip's answer is to come, by voice."""
AIM_POSTED, AIM_POSTED_WHOLE = 2.2, 1.3
"""The same of a clip that was posted whole; and of its whole answer."""
AIM_SHARE = 0.25
"""Of the time that one after the other takes to the first sound of 8 sentences, what the first of them is to take."""
_SUBJECTS = (
    *("a fox", "the sea", "a lighthouse", "the city of Paris", "an old clock", "a mountain village", "bread"),
    *("the winter", "a long journey", "a garden", "a small island", "a river", "the night train", "a painter"),
)
_LENGTHS = (1, 3, 8)
_SPOKEN = (
    "Tell me a story about a brave little fox, please.",
    "What would you like to tell me about the sea today?",
    "Please tell me a long story about an old lighthouse.",
    "Can you tell me something about the city of Paris?",
    "Tell me all that you know about the mountains, please.",
)
_SPOKEN_TOKENS = 48
_LONGEST_TOKENS = 400
_END = re.compile(r"[.!?][\"')]*\s")


@dataclass
class Took:
    """What one peer took for one kind of question [s], round by round."""

    first_audio_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Figures:
    """How one peer fared with one kind of question."""

    voice: str
    case: str
    peer: str
    first_audio_s: Spread
    whole_s: Spread
    times_sooner: float
    """How many times as long the first sound takes from a process per stage."""
    times_whole: float
    """The same to the end of the answer."""
    share_of_kept: float
    """The first sound's time as a share of what it takes with the same engines one after the other."""


async def run(arguments: argparse.Namespace) -> int:
    """Measures, shows and writes."""
    console = introduced(__doc__)
    rounds, lengths, voices = (1, _LENGTHS[:1], ("espeak",)) if arguments.quick else (4, _LENGTHS, ("flite", "espeak"))
    remarks, results = [], []
    for number, voice in enumerate(voices):
        if which({"espeak": "espeak-ng"}.get(voice, voice)) is None:
            remarks.append(f"Not measured with {voice}: its command line, which the peer needs, is not installed.")
            continue
        with console.status(f"{voice}: asking ..."):
            asked = await _questions(rounds, lengths if number == 0 else ())
            took = await _measure(voice, asked)
        results += _figures(voice, took)
    if not results:
        console.print("\n".join(remarks))
        return 0
    settings = {"rounds": rounds, "lengths": lengths, "spoken_tokens": _SPOKEN_TOKENS}
    return Outcome(
        "first_audio",
        settings,
        results,
        tables=[_table(results)],
        charts=_charts(results),
        verdicts=_verdicts(results),
        remarks=remarks,
    ).tell(console, arguments.folder)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is asked, and where the figures go."""
    add_usual(parser, quick="one round, one sentence and one clip, espeak-ng only: rough")


async def _questions(rounds: int, lengths: Sequence[int]) -> dict[str, list[Question]]:
    """By kind, one for each round."""
    asked: dict[str, list[Question]] = {}
    texts = iter(_SUBJECTS)
    if lengths:
        async with writing(EngineSettings(name="llamacpp")) as llm:
            for length in lengths:
                case = f"{length} sentence{'s' if length > 1 else ''}"
                asked[case] = [await _typed(llm, f"Tell me about {next(texts)}.", length) for _ in range(rounds)]
    clips = await spoken(_SPOKEN[:rounds], "flite")
    asked["3 s clip"] = [Question(_SPOKEN_TOKENS, clip=clip) for clip in clips]
    return asked


async def _typed(llm: AsyncLanguageModel, text: str, sentences: int) -> Question:
    """The question, and how many tokens its answer may have so that it is of so many sentences."""
    answer, tokens = "", 0
    messages = [Message(role=Role.SYSTEM, content=SYSTEM), Message(role=Role.USER, content=text)]
    async with aclosing(llm.chat(messages, Sampling(max_tokens=_LONGEST_TOKENS))) as pieces:
        async for piece in pieces:
            if len(_END.findall(answer + piece.text)) >= sentences:
                break
            answer, tokens = answer + piece.text, tokens + 1
    return Question(tokens, text)


async def _measure(voice: str, asked: Mapping[str, Sequence[Question]]) -> dict[tuple[str, Peer], Took]:
    took: dict[tuple[str, Peer], Took] = {}
    async with peers(voice) as asked_by:
        for peer, ask in asked_by.items():  # the first request of all pays for imports
            if peer is not Peer.LIVE:
                await ask(Question(4, text="Hello."))
        for case, questions in asked.items():
            able = [peer for peer in Peer if questions[0].clip or peer is not Peer.LIVE]
            for number, question in enumerate(questions):
                for peer in in_turn(able, number):
                    first_s, whole_s = await asked_by[peer](question)
                    kept = took.setdefault((case, peer), Took())
                    kept.first_audio_s.append(first_s)
                    kept.whole_s.append(whole_s)
    return took


def _figures(voice: str, took: Mapping[tuple[str, Peer], Took]) -> list[Figures]:
    results = []
    for (case, peer), one in took.items():
        processes, kept = took[case, Peer.PROCESSES], took[case, Peer.KEPT]
        results.append(
            Figures(
                voice,
                case,
                peer.value,
                first_audio_s=Spread.of(one.first_audio_s),
                whole_s=Spread.of(one.whole_s),
                times_sooner=ratio(processes.first_audio_s, one.first_audio_s),
                times_whole=ratio(processes.whole_s, one.whole_s),
                share_of_kept=ratio(one.first_audio_s, kept.first_audio_s),
            )
        )
    return results


def _table(results: Sequence[Figures]) -> Table:
    shown = table(
        "Seconds from the end of the question, p50 / highest",
        ("voice", "question or answer", "answered by"),
        ("first audio", "whole answer", "x sooner", "x whole", "of kept"),
    )
    for one in results:
        ratios = (f"{one.times_sooner:.1f}", f"{one.times_whole:.1f}", f"{one.share_of_kept:.2f}")
        shown.add_row(one.voice, one.case, one.peer, str(one.first_audio_s), str(one.whole_s), *ratios)
    return shown


def _charts(results: Sequence[Figures]) -> list[Chart]:
    charts = []
    for title, name in (("First audio", "first_audio_s"), ("Whole answer", "whole_s")):
        bars: dict[str, dict[str, float]] = {}
        for one in results:
            bars.setdefault(f"{one.case}, {one.voice}", {})[one.peer] = asdict(one)[name]["p50"]
        charts.append(Chart(f"{title}, from the end of the question", "s", bars))
    return charts


def _verdicts(results: Sequence[Figures]) -> list[Verdict]:
    verdicts = []
    for one in results:
        who = f"{one.case}, {one.voice}, {one.peer}"
        if one.peer == Peer.LIVE:
            verdicts.append(Verdict(f"{who}: first audio", one.times_sooner, AIM_LIVE[one.voice], " x", at_least=True))
        elif one.peer == Peer.CHUNKS and one.case == "3 s clip":
            verdicts.append(Verdict(f"{who}: first audio", one.times_sooner, AIM_POSTED, " x", at_least=True))
            verdicts.append(Verdict(f"{who}: whole answer", one.times_whole, AIM_POSTED_WHOLE, " x", at_least=True))
        elif one.peer == Peer.CHUNKS and one.case == f"{_LENGTHS[-1]} sentences":
            verdicts.append(Verdict(f"{who}: first audio, of kept", one.share_of_kept, AIM_SHARE))
    return verdicts


if __name__ == "__main__":
    sys.exit(main("first_audio", __doc__, add_arguments, run))
