"""An answer being said: sentence by sentence, while the rest of it is still being written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from agent.audio import Audio
from agent.audio.formats import Encoded, chunks, encode
from agent.contract.base64 import encode_base64
from agent.contract.events import EventType
from agent.contract.messages import VoiceOptions
from agent.contract.reply import AudioBody
from agent.contract.terms import AudioFormat, Stage
from agent.errors import EngineError
from agent.pipeline.played import Said
from agent.pipeline.sentences import Sentences
from agent.pipeline.telling import Listener, Teller
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
    """Work of the engine."""
    first_audio_ms: float
    """From the arrival of the request to the first sound."""
    engine: str


class Speech:
    """The speech of one answer. Close it; what is in the middle of being said then is stopped."""

    def __init__(self, voice: Voice, teller: Teller) -> None:
        self._voice = voice
        self._teller = teller
        self.said: list[Said] = []
        """What was spoken so far, in order."""
        self.first_played_ms: float | None = None
        """When the first chunk went out, since the arrival of the request."""
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
        self._teller.tell(EventType.TTS_END, chunks=self._chunks if self._teller.plays else None)
        body = self.ahead
        if body is None:
            body = await asyncio.to_thread(_joined, self._pieces, self._voice.options)
        return Spoken(body, " ".join(self._texts), self._seconds, self._first_ms or 0.0, self._engine)

    @property
    def ahead(self) -> AudioBody | None:
        """What went ahead of the reply so far; None where nothing did."""
        if not self._chunks:
            return None
        return AudioBody(
            format=self._voice.options.format,
            sample_rate=self._rate,
            duration_ms=round(self._duration_ms),
            chunks=self._chunks,
        )

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
        self._chunks = 0
        self._rate = 0
        self._seconds = 0.0
        self._duration_ms = 0.0
        self._first_ms: float | None = None
        self._engine = ""
        self._sentence = 0
        self.said.clear()
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
            self.said.append(Said(sentence))
            return
        if self._first_ms is None:
            self._first_ms = self._teller.elapsed_ms
        self._texts.append(said)
        if self._teller.listener and self._teller.plays:
            await self._play(sentence, audio, self._teller.listener)
            return
        self._pieces.append(audio)
        self.said.append(Said(sentence, audio.duration_s * 1_000))

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

    async def _play(self, sentence: str, audio: Audio, listener: Listener) -> None:
        """Sends it ahead."""
        options, duration_ms = self._voice.options, audio.duration_s * 1_000
        made = await asyncio.to_thread(
            lambda: list(chunks(audio, options.format, sample_rate=options.sample_rate, max_bytes=listener.chunk_bytes))
        )
        self.said.append(Said(sentence, duration_ms, self._chunks + len(made) - 1))
        self._duration_ms += duration_ms
        text: str | None = sentence.strip()
        for chunk in made:
            if self.first_played_ms is None:
                self.first_played_ms = self._teller.elapsed_ms
            listener.play(self._chunks, chunk.data, _content_type(options.format, chunk))
            self._teller.tell(EventType.AUDIO, chunk=self._chunks, bytes=len(chunk.data), text=text)
            self._rate, text = chunk.sample_rate, None
            self._chunks += 1
            await listener.room(chunk.duration_ms / 1_000)


def _joined(pieces: list[Audio], options: VoiceOptions) -> AudioBody:
    whole = Audio.joined(pieces)
    encoded = encode(whole, options.format, sample_rate=options.sample_rate)
    return AudioBody(
        data=encode_base64(encoded.data),
        format=options.format,
        sample_rate=encoded.sample_rate,
        duration_ms=round(whole.duration_s * 1_000),
    )


def _content_type(kind: AudioFormat, chunk: Encoded) -> str:
    if kind is AudioFormat.PCM:  # says nothing of itself
        return f"{kind.media_type};rate={chunk.sample_rate};channels=1"
    return kind.media_type
