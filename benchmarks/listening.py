"""The same sentences by one engine, whole, once they are there, and live, while they are being spoken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from agent.audio import Audio
from agent.engines.base import AsyncSpeechToText
from agent.engines.settings import EngineSettings
from agent.evaluation.words import word_errors
from benchmarks.command import table
from benchmarks.plot import Chart
from benchmarks.rounds import in_turn, ratio
from benchmarks.speech import hearing, pieces
from benchmarks.spread import Spread

_PIECE_S = 0.1


@dataclass(frozen=True)
class Listened:
    """How one way to hear sentences fared."""

    way: str
    wait_s: Spread
    errors: int
    words: int
    times: float
    """How many times as long the whole clip's wait is; the median over the sentences."""

    @property
    def error_share(self) -> float:
        """Of the words that were said [%]."""
        return 100 * self.errors / self.words


async def measure_listening(sentences: Sequence[str], clips: Sequence[Audio], remarks: list[str]) -> list[Listened]:
    """Whole and live, of pocketsphinx; none, and a remark, where it does not listen."""
    waits: dict[str, list[float]] = {"whole": [], "live": []}
    errors = dict.fromkeys(waits, 0)
    async with hearing(EngineSettings(name="pocketsphinx")) as stt:
        for number, (sentence, clip) in enumerate(zip(sentences, clips, strict=True)):
            for way in in_turn(waits, number):
                wait_s, heard = await (_listen(stt, clip) if way == "live" else _timed(stt, clip))
                if heard is None:
                    remarks.append("pocketsphinx did not listen live.")
                    return []
                waits[way].append(wait_s)
                errors[way] += word_errors(sentence, heard)
    words = sum(len(sentence.split()) for sentence in sentences)
    return [
        Listened(way, Spread.of(taken), errors[way], words, ratio(waits["whole"], taken))
        for way, taken in waits.items()
    ]


async def _timed(stt: AsyncSpeechToText, clip: Audio) -> tuple[float, str | None]:
    began = time.perf_counter()
    heard = await stt.transcribe(clip, language="en", prompt="")
    return time.perf_counter() - began, heard.text


async def _listen(stt: AsyncSpeechToText, clip: Audio) -> tuple[float, str | None]:
    """The wait after the last word, and what was heard; None where the engine has no ear free."""
    listening = await stt.listen(language="en", prompt="")
    if listening is None:
        return 0.0, None
    try:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, piece in enumerate(pieces(clip, _PIECE_S)):
            await asyncio.sleep(max(0.0, began + (number + 1) * _PIECE_S - loop.time()))
            listening.feed(piece)
        ended = time.perf_counter()
        heard = (await listening.finish()).text
        return time.perf_counter() - ended, heard
    finally:
        listening.close()


def listened_table(results: Sequence[Listened]) -> Table:
    """All of it."""
    shown = table("Whole, or live", ("way",), ("wait s, p50 / highest", "x as short", "wrong words", "%"))
    for one in results:
        wrong = f"{one.errors} of {one.words}"
        shown.add_row(one.way, str(one.wait_s), f"{one.times:.1f}", wrong, f"{one.error_share:.1f}")
    return shown


def listened_charts(results: Sequence[Listened]) -> list[Chart]:
    """Of the waits, and of the errors."""
    waits = {each.way: each.wait_s.p50 for each in results}
    shares = {each.way: each.error_share for each in results}
    return [
        Chart("Wait after the last word of a sentence", "s", {"pocketsphinx": waits}),
        Chart("Words that are wrong", "%", {"pocketsphinx": shares}),
    ]
