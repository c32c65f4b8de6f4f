"""A chat with one model, for programs that were written for MLC's ChatModule."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Sequence
from contextlib import closing
from functools import partial
from typing import cast

from typing_extensions import Self

from agent.contract.messages import Message, Sampling
from agent.contract.terms import Role, Stage
from agent.engines.base import Delta
from agent.engines.budget import MemoryBudget
from agent.engines.host import LanguageModelHost
from agent.engines.opening import Opener
from agent.engines.settings import LanguageModelSettings
from agent.mlc_chat.answer import Answer, Callback, preparing, receive
from agent.mlc_chat.config import ChatConfig, GenerationConfig
from agent.mlc_chat.engine_thread import EngineThread
from agent.mlc_chat.manner import Manner, spoken
from agent.mlc_chat.model import find
from agent.mlc_chat.rates import Rates
from agent.pipeline.window import Parts, Window
from agent.settings_reading import load


class ChatModule:
    """A model in a process of its own, and what was said; the process ends with `close`, or with the program."""

    def __init__(
        self,
        model: str,
        device: str = "auto",
        chat_config: ChatConfig | None = None,
        model_lib_path: str | None = None,
    ) -> None:
        """Finds the model, prints what it found, and loads it.

        `model`: a name in EdgeVoice's settings; or the name or folder of an MLC model, whose library is looked for
        unless `model_lib_path` names it. `device`: `name` or `name:number`. ValueError, FileNotFoundError and
        EngineError say what is wrong, and what helps.
        """
        settings = load()
        found = find(model, device, model_lib_path, settings)
        self._own = found.own
        self._manner = Manner.of(found.own, chat_config or ChatConfig())
        self._said: Sequence[Message] = self._manner.before
        self._rates = Rates()
        print(*found.told, sep="\n", flush=True)
        opener = Opener(settings.models_dir, MemoryBudget(settings.memory), on_change=lambda: None)
        self._thread = EngineThread(partial(_open, opener, found.settings))
        self._closing = weakref.finalize(self, self._thread.close)
        try:
            self._engine = self._thread.start()
        except BaseException:  # Ctrl-C, too: what has begun to load is not to live on
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def generate(
        self,
        prompt: str,
        generation_config: GenerationConfig | None = None,
        progress_callback: Callback | None = None,
        stateless: bool = False,
    ) -> str | list[str]:
        """The answer to `prompt`, or how a raw one goes on; a list of them where the configuration has an `n`.

        A conversation goes on from call to call; `stateless` begins it anew first. EngineError where the model fails.
        """
        with preparing(progress_callback):
            if not self._closing.alive:
                raise RuntimeError("this ChatModule is closed; make another")
            call = generation_config or GenerationConfig()
            if call.n is not None and call.n < 1:
                raise ValueError("GenerationConfig.n: say 1 or more, or leave it out for an answer that is no list")
            question, sampling = spoken(Role.USER, prompt), self._manner.sampling(call)
            if stateless:
                self.reset_chat()
            earlier = self._fitting(question, sampling)
        answers = [
            self._answer(question, earlier, _varied(sampling, number), progress_callback)
            for number in range(call.n or 1)
        ]
        self._rates = answers[-1].rates
        if not self._manner.raw and answers[0].text.strip():
            self._said = [*earlier, question, spoken(Role.ASSISTANT, answers[0].text)]
        return answers[0].text if call.n is None else [answer.text for answer in answers]

    def reset_chat(self, chat_config: ChatConfig | None = None) -> None:
        """Forgets what was said; a `chat_config` holds from now on, and nothing of the one before."""
        if chat_config is not None:
            self._manner = Manner.of(self._own, chat_config)
        self._said = self._manner.before

    def stats(self) -> str:
        """How fast the last answer was read and written, as in `prefill: 3477.5 tok/s, decode: 153.6 tok/s`."""
        return str(self._rates)

    def close(self) -> None:
        """Ends the engine's process; more than once does no harm."""
        self._closing()

    def _fitting(self, question: Message, sampling: Sampling) -> Sequence[Message]:
        """What was said and still fits into the window, beside the question and its answer."""
        tokens = self._engine.info.context_window
        if not (self._said and tokens):
            return self._said
        window = Window(self._engine, tokens, min(sampling.max_tokens or tokens, tokens // 2))
        parts = Parts(self._manner.instruction, self._said, question)
        return self._said[self._thread.call(window.overflow(parts)) :]

    def _answer(
        self, question: Message, earlier: Sequence[Message], sampling: Sampling, callback: Callback | None
    ) -> Answer:
        with closing(self._thread.stream(self._asked(question, earlier, sampling))) as deltas:
            return receive(deltas, sampling.stop, callback)

    def _asked(self, question: Message, earlier: Sequence[Message], sampling: Sampling) -> AsyncGenerator[Delta, None]:
        if self._manner.raw:
            return self._engine.complete(question.content, sampling)
        return self._engine.chat([*self._manner.instruction, *earlier, question], sampling)


async def _open(opener: Opener, settings: LanguageModelSettings) -> LanguageModelHost:
    return cast("LanguageModelHost", await opener.open(Stage.LLM, settings))


def _varied(sampling: Sampling, number: int) -> Sampling:
    """`sampling` for one of several answers: the same seed would make them all the same."""
    return sampling if sampling.seed is None else sampling.model_copy(update={"seed": sampling.seed + number})
