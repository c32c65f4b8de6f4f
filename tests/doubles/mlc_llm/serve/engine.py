"""The asynchronous engine."""

import asyncio
import logging
import threading
import uuid
import weakref
from pathlib import Path
from typing import Any, ClassVar

from tvm.runtime import Device

from mlc_llm.protocol import openai_api_protocol as protocol
from mlc_llm.protocol.conversation_protocol import Conversation
from mlc_llm.protocol.error_protocol import BadRequestError
from mlc_llm.serve.config import EngineConfig
from mlc_llm.serve.native import Model, ThreadedEngine, tokens_of

logger = logging.getLogger(__name__)


class EngineState:
    """What the callback of the engine's second thread works with."""

    async_event_loop: Any = None
    async_streamers: ClassVar[dict[str, Any]] = {}  # of all engines of the process: the real one's mistake, too

    def take(self, outputs):
        """Hands outputs to the loop of the first request; a closed one is the death of the thread this runs in."""
        self.async_event_loop.call_soon_threadsafe(self._hand_out, outputs)

    def _hand_out(self, outputs):
        for request_id, text, finish, usage in outputs:
            stream = self.async_streamers.get(request_id)
            if stream is None:
                continue
            stream.put_nowait((text, finish, usage))
            if usage:
                stream.put_nowait(None)
                del self.async_streamers[request_id]


class AsyncMLCEngine:
    """Many conversations at once, on the loop of the first of them."""

    def __init__(self, model, device="auto", *, model_lib=None, mode="local", engine_config=None, enable_tracing=False):
        config = engine_config or EngineConfig()
        for name, given in (("model", model), ("model_lib", model_lib), ("mode", mode)):
            if getattr(config, name) not in {None, given}:
                raise ValueError(f'The argument "{name}" of engine constructor is not that of engine_config.')
        if config.kv_cache_page_size != 16:
            raise ValueError("KV cache only supports page size 16")
        if not isinstance(device, Device):
            raise TypeError("this double probes no devices by name: the real one takes up to half a minute for that")
        if not Path(model).is_dir():
            raise FileNotFoundError(f"Cannot find model {model}, directory does not exist")
        found = Model.at(model)
        self.conv_template = Conversation.model_validate(found.config["conv_template"])
        if model_lib is None:
            raise RuntimeError("JIT is disabled by MLC_JIT_POLICY=OFF")
        if not Path(model_lib).is_file():
            raise FileNotFoundError(f"The `model_lib` you passed in is not a file: {model_lib}.")
        self.state = EngineState()
        self._native = ThreadedEngine(model)
        self._native.init_threaded_engine(device, self.state.take)
        self._threads = [
            threading.Thread(target=self._native.run_background_loop),
            threading.Thread(target=self._native.run_background_stream_back_loop),
        ]
        for thread in self._threads:
            thread.start()
        self._terminated = False
        config.model, config.model_lib, config.mode = model, model_lib, mode
        found.note("loading", device=f"{device.type}:{device.index}", config=config.asjson())
        self._native.reload(config.asjson())
        self.engine_config = self._native.config
        self.max_input_sequence_length = min(
            self.engine_config.max_single_sequence_length, self.engine_config.max_total_sequence_length
        )
        self.chat = AsyncChat(weakref.ref(self))
        self.completions = AsyncCompletion(weakref.ref(self))

    def __del__(self):
        """Ends the threads of an engine that nobody holds any more."""
        self.terminate()

    def terminate(self):
        """Ends the threads, after their step. Whoever waits for an answer waits for ever."""
        if getattr(self, "_terminated", True):
            return
        self._terminated = True
        self._native.exit_background_loop()
        for thread in self._threads:
            thread.join()
        self._native.model.note("terminated")

    async def abort(self, request_id):
        """Ends the work for a request; whoever reads its stream is not told."""
        self._abort(request_id)

    def _abort(self, request_id):
        self.state.async_streamers.pop(request_id, None)
        self._native.model.note("aborted", id=request_id)
        self._native.abort_request(request_id)

    async def _answers(self, request, request_id, prompt_of, response_of):
        """Nothing of a request is looked at before its first answer is asked for."""
        prompt = prompt_of(request)
        tokens = tokens_of(prompt)
        limit = self.max_input_sequence_length
        if len(tokens) > limit:
            raise BadRequestError(
                f"Request prompt has {len(tokens)} tokens in total, larger than the model input length limit {limit}."
            )
        stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
        options = {**request.model_dump(exclude_none=True), "stop_strs": [*stops, *self.conv_template.stop_str]}
        self._native.model.note("asked", id=request_id, prompt=prompt, options=options)
        try:
            async for text, finish, usage in self._generate(tokens, options, request_id):
                if usage and not (request.stream_options and request.stream_options.include_usage):
                    continue
                if usage or text or finish:
                    yield response_of(request_id, request.model, text, finish, usage)
        except asyncio.CancelledError:
            raise
        except Exception as exc:
            logger.error("\x1b[31mError in _handle_chat_completion\x1b[0m for request %s:\n%s", request_id, exc)  # noqa: TRY400
            raise

    async def _generate(self, tokens, options, request_id):
        if self._terminated:
            raise ValueError("The AsyncThreadedEngine has terminated.")
        if self.state.async_event_loop is None:
            self.state.async_event_loop = asyncio.get_running_loop()
        request = self._native.create_request(request_id, tokens, options)
        stream: asyncio.Queue[Any] = asyncio.Queue()
        if request_id in self.state.async_streamers:
            stream.put_nowait(RuntimeError(f'The request id "{request_id} already exists.'))
        else:
            self.state.async_streamers[request_id] = stream
            self._native.add_request(request)
        try:
            while output := await stream.get():
                if isinstance(output, Exception):
                    raise output
                yield output
        except BaseException:
            self._abort(request_id)
            raise


def _chat_response(request_id, model, text, finish, usage):
    delta = protocol.ChatCompletionMessage(content=text, role="assistant")
    choices = [] if usage else [protocol.ChatCompletionStreamResponseChoice(finish_reason=finish, delta=delta)]
    return protocol.ChatCompletionStreamResponse(
        id=request_id, choices=choices, model=model, system_fingerprint="", usage=usage
    )


def _completion_response(request_id, model, text, finish, usage):
    choices = [] if usage else [protocol.CompletionResponseChoice(finish_reason=finish, text=text)]
    return protocol.CompletionResponse(id=request_id, choices=choices, model=model, usage=usage)


class AsyncChat:
    """`engine.chat`."""

    def __init__(self, engine):
        self.completions = AsyncChatCompletion(engine)


class AsyncChatCompletion:
    """`engine.chat.completions`; what is left out here, EdgeVoice does not ask for."""

    def __init__(self, engine):
        self.engine = engine

    async def create(
        self,
        *,
        messages,
        model=None,
        frequency_penalty=None,
        presence_penalty=None,
        max_tokens=None,
        n=1,
        seed=None,
        stop=None,
        stream=False,
        stream_options=None,
        temperature=None,
        top_p=None,
        request_id=None,
        extra_body=None,
    ):
        """A stream of the answer to a conversation."""
        fields = {name: value for name, value in locals().items() if name not in {"self", "request_id", "extra_body"}}
        engine = self.engine()
        request = protocol.ChatCompletionRequest(**fields)

        def prompt_of(request):
            request.check_message_validity()
            return engine.conv_template.as_prompt(request.messages)

        return engine._answers(request, request_id or f"chatcmpl-{uuid.uuid4().hex}", prompt_of, _chat_response)


class AsyncCompletion:
    """`engine.completions`."""

    def __init__(self, engine):
        self.engine = engine

    async def create(
        self,
        *,
        prompt,
        model=None,
        frequency_penalty=None,
        presence_penalty=None,
        max_tokens=None,
        n=1,
        seed=None,
        stop=None,
        stream=False,
        stream_options=None,
        temperature=None,
        top_p=None,
        request_id=None,
        extra_body=None,
    ):
        """A stream of how a text goes on."""
        fields = {name: value for name, value in locals().items() if name not in {"self", "request_id", "extra_body"}}
        request = protocol.CompletionRequest(**fields)
        request_id = request_id or f"cmpl-{uuid.uuid4().hex}"
        return self.engine()._answers(request, request_id, lambda request: request.prompt, _completion_response)
