"""Several processes of one engine that look like one: a call goes to the one with the least to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from agent.audio import Audio
from agent.contract.presence import EngineInfo, EngineState
from agent.engines.base import AsyncListening, AsyncSpeechToText, AsyncTextToSpeech, Transcript
from agent.engines.host import EngineHost, SpeechToTextHost, TextToSpeechHost

_Host = TypeVar("_Host", bound=EngineHost)


class EnginePool(Generic[_Host]):
    """Hosts of one engine, all started. As many calls at once as there are; the others wait, in the order they came."""

    def __init__(self, hosts: Sequence[_Host]) -> None:
        self._hosts = tuple(hosts)
        self._turns = asyncio.Semaphore(len(self._hosts))

    async def close(self) -> None:
        """Ends all the workers; calls in progress fail, and so do later ones."""
        await asyncio.gather(*(host.close() for host in self._hosts))

    @property
    def info(self) -> EngineInfo:
        """What was loaded, in each of them."""
        return self._hosts[0].info

    @property
    def state(self) -> EngineState:
        """How the processes fare, taken together; ready as long as one of them is."""
        states = [host.state for host in self._hosts]
        known = [state.memory_bytes for state in states if state.memory_bytes is not None]
        return EngineState(
            ready=any(state.ready for state in states),
            busy=sum(state.busy for state in states),
            restarts=sum(state.restarts for state in states),
            memory_bytes=sum(known) if known else None,
        )

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[_Host]:
        """The host to ask, once it is the caller's turn."""
        async with self._turns:
            yield self._by_burden()[0]

    def _by_burden(self) -> list[_Host]:
        """The hosts, the one with the least to do first, those whose worker is being started again last."""
        return sorted(self._hosts, key=lambda host: (not host.state.ready, host.load))


class SpeechToTextPool(EnginePool[SpeechToTextHost]):
    """AsyncSpeechToText over several workers."""

    async def transcribe(self, audio: Audio, *, language: str | None, prompt: str) -> Transcript:
        """What is said in `audio`."""
        async with self._turn() as host:
            return await host.transcribe(audio, language=language, prompt=prompt)

    async def listen(self, *, language: str | None, prompt: str) -> AsyncListening | None:
        """Begins to hear a clip that is still arriving; None where none of them can do that now."""
        for host in self._by_burden():
            if listening := await host.listen(language=language, prompt=prompt):
                return listening
        return None


class TextToSpeechPool(EnginePool[TextToSpeechHost]):
    """AsyncTextToSpeech over several workers."""

    async def synthesize(self, text: str, *, voice: str | None, speed: float) -> Audio:
        """`text` as it sounds."""
        async with self._turn() as host:
            return await host.synthesize(text, voice=voice, speed=speed)


_stt: type[AsyncSpeechToText] = SpeechToTextPool
_tts: type[AsyncTextToSpeech] = TextToSpeechPool
