"""Language model behind any server that speaks OpenAI's protocol: MLC LLM, llama.cpp, Ollama, vLLM and more."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from pydantic import Field

from agent.contract.messages import Message, Sampling
from agent.contract.presence import EngineInfo
from agent.contract.terms import Stage
from agent.engines.base import Delta, EngineOptions, LanguageModel, not_installed
from agent.engines.openai_errors import KEY_VARIABLE, Errors, refuses_usage, retry_after_s, status_of
from agent.engines.openai_wire import Tally, window_of
from agent.engines.prompt import turns
from agent.errors import EngineError

_NO_KEY = "none"
_LIBRARY_BYTES = 80 * 2**20
_SILENCE_S = 3_600.0
_LIST_S = 30.0
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 30.0
_NO_LIST = (404, 405, 501)


class OpenAiOptions(EngineOptions):
    """Which server, which of its models, and how it is asked."""

    base_url: str | None = Field(default=None, pattern=r"^https?://")
    """Address up to the version, as in `http://127.0.0.1:8000/v1`."""
    model: str | None = None
    """One of the models that the server lists; left out, the first of them."""
    api_key_file: Path | None = None
    """File that holds the API key on its first line; left out, the key is in the variable OPENAI_API_KEY, if any."""
    slots: int = Field(default=8, ge=1, le=256)
    """Conversations at once."""
    context_window: int | None = Field(default=None, ge=1)
    """Tokens of a conversation and its answer; left out, what the server says."""
    connect_timeout_s: float = Field(default=5.0, gt=0)
    """Longest time to connect [s]."""
    retries: int = Field(default=2, ge=0, le=10)
    """How often a request that the server could not take is sent again, as long as no word of an answer has come."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    """Where a request names none; left out, the server's own."""
    repetition_penalty: float | None = Field(default=None, gt=0, le=2)
    """Where a request names none; left out, the server's own."""
    repetition_penalty_field: str | None = None
    """What the server calls it; left out, `repeat_penalty` for llama.cpp and `repetition_penalty` for others."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Fields of the server's own that go with every request."""


class OpenAi:
    """Answers with what a server answers; holds nothing itself."""

    Options: ClassVar[type[EngineOptions]] = OpenAiOptions

    def __init__(self, options: OpenAiOptions, models_dir: Path) -> None:
        import openai  # noqa: PLC0415 - only who takes this engine needs the library

        self._openai: Any = openai
        http: Any = import_module(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])  # httpx or httpx2
        unreachable = (openai.APIConnectionError, http.HTTPError)  # some versions let the second through as it is
        self._caught = (openai.OpenAIError, json.JSONDecodeError, *unreachable)
        self._options = options
        self._key = _key(options)
        self._address = _address(options.base_url or "")
        self._client: Any = None
        self._usage = True
        self.slots = options.slots
        self._errors = Errors(unreachable, self._address, self._key)
        listed = self._list()
        models = [str(each["id"]) for each in listed]
        self._model = options.model or models[0]
        self._errors.know(self._model, models)
        only = listed[0] if len(listed) == 1 else {}  # such a server does not mind what it is called
        own: dict[str, Any] = next((each for each in listed if each["id"] == self._model), only)
        llamacpp = own.get("owned_by") == "llamacpp"
        self._penalty = options.repetition_penalty_field or ("repeat_penalty" if llamacpp else "repetition_penalty")
        self._window = options.context_window or window_of(own) or (self._props_window() if llamacpp else None)

    @classmethod
    def missing(cls, options: OpenAiOptions, models_dir: Path) -> str | None:
        """The address, the package or the key's file, where it is not there; asks no server."""
        if options.base_url is None:
            return "no base_url is set; it is the server's address, as in http://127.0.0.1:8000/v1"
        if find_spec("openai") is None:
            return not_installed("openai", extra="openai")
        if options.api_key_file and not options.api_key_file.is_file():
            return f"no file {options.api_key_file}"
        return None

    @classmethod
    def needs_bytes(cls, options: OpenAiOptions, models_dir: Path) -> int:
        """The client library: the model is the server's."""
        return _LIBRARY_BYTES

    @property
    def info(self) -> EngineInfo:
        """The server's model."""
        return EngineInfo(
            name="openai",
            model=self._model,
            version=version("openai"),
            device=self._address,
            context_window=self._window,
        )

    def chat(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """The answer in pieces. Closing the iterator closes the connection, which ends the server's work."""
        return self._answer({"messages": turns(messages)}, sampling)

    def complete(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """How `prompt` goes on, as it is."""
        return self._answer({"prompt": prompt}, sampling)

    async def count(self, asked: Sequence[Message] | str) -> int | None:
        """None: the model's tokenizer is the server's."""
        return None

    def close(self) -> None:
        """Nothing: connections end with the process."""

    async def _answer(self, asked: dict[str, Any], sampling: Sampling) -> AsyncGenerator[Delta, None]:
        request = {**asked, **self._request(sampling)}
        tries = 0
        while True:
            begun, usage = False, self._usage
            try:
                async with aclosing(self._stream(request, usage=usage)) as deltas:
                    async for delta in deltas:
                        begun = True
                        yield delta
            except self._caught as exc:
                if usage and refuses_usage(exc):
                    self._usage = False
                    continue
                failure = self._errors.broken_off(exc) if begun else self._errors.untaken(exc)
                pause_s = max(retry_after_s(exc), _FIRST_PAUSE_S * 2**tries)
                if begun or not failure.retriable or tries == self._options.retries or pause_s > _LONGEST_PAUSE_S:
                    raise failure from exc
            else:
                return
            tries += 1
            await asyncio.sleep(pause_s)

    async def _stream(self, request: dict[str, Any], *, usage: bool) -> AsyncGenerator[Delta, None]:
        if self._client is None:  # here, where the event loop is
            self._client = self._connect(self._openai.AsyncOpenAI, retries=0)
        endpoint = self._client.chat.completions if "messages" in request else self._client.completions
        counted = {"stream_options": {"include_usage": True}} if usage else {}
        tally = Tally()
        async with await endpoint.create(**request, **counted) as stream:
            async for chunk in stream:
                if text := tally.take(chunk):
                    yield Delta(text)
        if tally.empty:  # so llama-cpp-python refuses: it says why only where it does not stream
            await endpoint.create(**{**request, "stream": False, "max_tokens": 1})
        yield tally.last()

    def _request(self, sampling: Sampling) -> dict[str, Any]:
        asked = sampling.model_dump(exclude_none=True, exclude={"repetition_penalty", "stop"})
        if sampling.stop:
            asked["stop"] = list(sampling.stop)
        if self._options.temperature is not None:
            asked.setdefault("temperature", self._options.temperature)
        penalty = sampling.repetition_penalty or self._options.repetition_penalty
        ours = {} if penalty is None else {self._penalty: penalty}
        return {**asked, "model": self._model, "stream": True, "extra_body": {**ours, **self._options.extra_body}}

    def _connect(self, client: Any, *, retries: int) -> Any:
        # Silence ends no call: how long one may take is its deadline's business.
        timeout = self._openai.Timeout(_SILENCE_S, connect=self._options.connect_timeout_s)
        return client(
            base_url=self._options.base_url, api_key=self._key or _NO_KEY, timeout=timeout, max_retries=retries
        )

    def _list(self) -> list[dict[str, Any]]:
        """The models that the server tells of; none where it does not, but one is named."""
        try:
            listing = self._get("models", retries=self._options.retries)
        except self._caught as exc:
            if status_of(exc) not in _NO_LIST:
                raise self._errors.untaken(exc) from exc
            listing = None
        listed = listing.get("data") if isinstance(listing, dict) else None
        listed = listed if isinstance(listed, list) else []
        models = [each for each in listed if isinstance(each, dict) and "id" in each]
        if models or self._options.model:
            return models
        message = f"{self._address}/models lists no models: name one in `model`, or does base_url lack its /v1?"
        raise EngineError(Stage.LLM, message, retriable=False)

    def _props_window(self) -> int | None:
        """The tokens of a slot, of a llama.cpp that does not list them."""
        try:
            props = self._get(urljoin(self._options.base_url or "", "/props"), retries=0)
            return int(props["default_generation_settings"]["n_ctx"])
        except (*self._caught, LookupError, TypeError, ValueError):
            return None

    def _get(self, path: str, *, retries: int) -> Any:
        with self._connect(self._openai.OpenAI, retries=retries) as client:
            timeout = self._openai.Timeout(_LIST_S, connect=self._options.connect_timeout_s)
            return client.get(path, cast_to=object, options={"timeout": timeout})


def _key(options: OpenAiOptions) -> str | None:
    if options.api_key_file is None:
        return os.environ.get(KEY_VARIABLE)
    try:
        key = options.api_key_file.read_text(encoding="ascii").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "is not plain text"
        raise EngineError(Stage.LLM, f"cannot read {options.api_key_file}: {reason}") from exc
    return key or None


def _address(base_url: str) -> str:
    """`base_url` as it may be shown: without a user and password."""
    parts = urlsplit(base_url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl().rstrip("/")


_: type[LanguageModel] = OpenAi
