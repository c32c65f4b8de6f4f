"""An answer being said: sentence by sentence, while the rest of it is still being written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from agent.audio import Audio
from agent.audio.formats import encode
from agent.contract.base64 import encode_base64
from agent.contract.events import EventType
from agent.contract.messages import VoiceOptions
from agent.contract.reply import AudioBody
from agent.contract.terms import Stage
from agent.errors import EngineError
from agent.pipeline.ahead import Ahead
from agent.pipeline.played import Played, Said
from agent.pipeline.sentences import Sentences
from agent.pipeline.telling import Teller
from agent.pipeline.voice import Voice
from agent.speech_text import speech_text

_AT_A_TIME = 500
"""So much text is looked at in one go on the event loop [characters]; it takes a millisecond or two."""

UNSAYABLE = "unsayable"
"""Reason of an EngineError: the voice has no sound for the text."""


@dataclass(frozen=True)
class Spoken:
    """What came of TTS."""

    body: AudioBody
    text: str
    """What was said, as it was said."""
    seconds: float
    """Work of the engine [s]."""
    first_audio_ms: float
    """From the arrival of the request to the first sound [ms]."""
    engine: str


class Speech:
    """The speech of one answer. Close it; what is in the middle of being said then is stopped."""

    def __init__(self, voice: Voice, teller: Teller) -> None:
        self._voice = voice
        self._teller = teller
        listener = teller.listener
        self._ahead = Ahead(listener, teller, voice.options) if listener and listener.audio else None
        self._restart()

    def write(self, piece: str) -> None:
        """The answer goes on."""
        self._put(self._sentences.feed(piece))

    async def write_all(self, text: str) -> None:
        """A text that is there already; a long one is cut without holding anybody up."""
        for start in range(0, len(text), _AT_A_TIME):
            self.write(text[start : start + _AT_A_TIME])
            await asyncio.sleep(0)

    async def restart(self) -> None:
        """The answer begins anew; nobody has heard any of it."""
        await self.close()
        self._restart()

    async def finish(self) -> Spoken:
        """All of it, once it is said. EngineError where the engine fails, or nothing in it can be said."""
        self._put(self._sentences.end())
        self._queue.put_nowait(None)
        await self._speaking
        if not self._texts:
            raise EngineError(
                Stage.TTS, "there is nothing in the text that could be said", reason=UNSAYABLE, retriable=False
            )
        self._teller.tell(EventType.TTS_END, chunks=self._ahead.chunks if self._ahead else None)
        body = self.ahead
        if body is None:
            body = await asyncio.to_thread(_joined, self._pieces, self._voice.options)
        return Spoken(body, " ".join(self._texts), self._seconds, self._first_ms or 0.0, self._engine)

    @property
    def ahead(self) -> AudioBody | None:
        """What went ahead of the reply so far; None where nothing did."""
        return self._ahead.body if self._ahead else None

    def heard(self, played: Played | None) -> str | None:
        """How much of the answer was heard; by the clock, where nobody says, and it was played as it came."""
        if played is None:
            if self._ahead is None or self._ahead.first_ms is None:
                return None
            played = Played(self._teller.elapsed_ms - self._ahead.first_ms)
        return played.of(self._said)

    async def close(self) -> None:
        """Says nothing more."""
        self._speaking.cancel()
        await asyncio.wait({self._speaking})
        if not self._speaking.cancelled():
            self._speaking.exception()  # else the event loop would tell of one that nobody saw

    def _restart(self) -> None:
        self._sentences = Sentences()
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._texts: list[str] = []
        self._pieces: list[Audio] = []
        self._said: list[Said] = []
        self._seconds = 0.0
        self._first_ms: float | None = None
        self._engine = ""
        self._sentence = 0
        self._speaking = asyncio.create_task(self._speak(), name="speech")

    def _put(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            self._queue.put_nowait(sentence)

    async def _speak(self) -> None:
        """Takes one sentence after the other, until there is no more."""
        first = await self._queue.get()
        with self._teller.during(Stage.TTS):
            sentence = first
            while sentence is not None:
                await self._say(sentence)
                sentence = await self._queue.get()

    async def _say(self, sentence: str) -> None:
        said = await self._in_words(sentence)
        audio = await self._sound(sentence, said) if said else None
        if audio is None:
            self._said.append(Said(sentence))
            return
        if self._first_ms is None:
            self._first_ms = self._teller.elapsed_ms
        self._texts.append(said)
        duration_ms = audio.duration_s * 1_000
        if self._ahead is None:
            self._pieces.append(audio)
            self._said.append(Said(sentence, duration_ms))
            return
        made = await self._ahead.cut(audio)
        self._said.append(Said(sentence, duration_ms, self._ahead.chunks + len(made) - 1))
        await self._ahead.play(made, sentence.strip())

    async def _in_words(self, sentence: str) -> str:
        """What a person would say; empty where there is nothing to say."""
        language = self._voice.language
        if len(sentence) <= _AT_A_TIME:
            return speech_text(sentence, language=language)
        return await asyncio.to_thread(speech_text, sentence, language=language)

    async def _sound(self, sentence: str, said: str) -> Audio | None:
        """How it sounds; None, and a warning, where the voice has no sound for it."""
        if not self._sentence:
            self._teller.tell(EventType.TTS_START)
        self._teller.tell(EventType.SENTENCE, n=self._sentence, text=sentence.strip())
        self._sentence += 1
        try:
            uttered = await self._voice.say(said)
        except EngineError as exc:
            unsayable = exc.reason == UNSAYABLE
            # The text is still being written, and wanted: who listens is told now that there will be no more to hear.
            self._teller.tell(EventType.WARNING, code=UNSAYABLE if unsayable else exc.code.value, message=exc.message)
            if not unsayable:
                raise
            return None
        self._seconds += uttered.seconds
        self._engine = uttered.engine
        return uttered.audio


def _joined(pieces: list[Audio], options: VoiceOptions) -> AudioBody:
    whole = Audio.joined(pieces)
    encoded = encode(whole, options.format, sample_rate=options.sample_rate)
    return AudioBody(
        data=encode_base64(encoded.data),
        format=options.format,
        sample_rate=encoded.sample_rate,
        duration_ms=round(whole.duration_s * 1_000),
    )
