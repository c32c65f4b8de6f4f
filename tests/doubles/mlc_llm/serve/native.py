"""Stands for MLC's C++: the two loops that threads of the engine run, and the instructions they take."""

import json
import queue
import re
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tvm.error import InternalError

from mlc_llm.serve.config import EngineConfig

_PAGE = 16
_PAGES_TO_STEP = 10
_ELF_HEADER = 64
_MACHINE = slice(18, 20)
_NONSENSE = 512_000.0


def tokens_of(text):
    """Words, each with the space before it."""
    return re.findall(r"\s*\S+|\s+$", text)


@dataclass
class Model:
    """A model's files, as C++ reads them."""

    folder: Path
    config: dict[str, Any]
    compiled: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def at(cls, folder):
        """Only what Python reads, too."""
        return cls(Path(folder), json.loads((Path(folder) / "mlc-chat-config.json").read_text()))

    @property
    def script(self):
        """What it says, and what goes wrong."""
        return self.config.get("script", {})

    def note(self, kind, **fields):
        """Writes into the journal what happened."""
        with (self.folder / "journal.jsonl").open("a") as journal:
            journal.write(json.dumps({"kind": kind, **fields}) + "\n")

    def load(self, library):
        """Weights and library; InternalError where they are not as they should be."""
        if self.script.get("load_error"):
            raise InternalError(self.script["load_error"])
        content = Path(library).read_bytes()
        try:
            self.compiled = json.loads(content[_ELF_HEADER:])
            if content[_MACHINE] != Path(sys.executable).read_bytes()[_MACHINE]:
                raise ValueError("wrong machine")
        except ValueError:
            raise InternalError(
                f"Check failed: (lib_handle_) is false: Failed to load dynamic library {library}"
            ) from None
        listing = self.folder / "tensor-cache.json"
        if not listing.is_file():
            raise InternalError(f"Check failed: (!fs.fail()) is false: Cannot open {listing}")
        for record in json.loads(listing.read_text())["records"]:
            shard = self.folder / record["dataPath"]
            if not shard.is_file() or shard.stat().st_size != record["nbytes"]:
                raise InternalError(f"Check failed: (!fs.fail()) is false: Cannot open {shard}")

    def completed(self, config):
        """`config` with what was left out. Of what the library cannot do, only the chunk is looked at."""
        window, batch = self.compiled["context_window_size"], self.compiled["max_batch_size"]
        own_window = min(self.config["context_window_size"], window)
        by_mode = {"local": min(4, batch), "interactive": 1, "server": batch}
        count = config.max_num_sequence = config.max_num_sequence or by_mode[config.mode]
        single = min(config.max_single_sequence_length or own_window, window)
        config.max_single_sequence_length = single
        fits = self.script.get("memory", 10**9)
        by_mode = {
            "local": min(fits, single, 8192),
            "interactive": min(fits, single),
            "server": min(fits, count * single),
        }
        total = config.max_total_sequence_length = config.max_total_sequence_length or by_mode[config.mode]
        chunk = min(self.config["prefill_chunk_size"], self.compiled["prefill_chunk_size"])
        config.prefill_chunk_size = config.prefill_chunk_size or min(chunk, total, single)
        if config.prefill_chunk_size > self.compiled["prefill_chunk_size"]:
            raise InternalError("Check failed: (prefill_chunk_size <= compiled) is false: chunk is too large")
        return config


@dataclass(eq=False)
class Request:
    """A request, and how far it is."""

    id: str
    prompt: list[str]
    options: dict[str, Any]
    answer: list[str] = field(default_factory=list)
    unread: int = 0
    prefilled: int = 0
    said: int = 0
    held: str = ""
    batched: bool = False
    preempted: bool = False

    @property
    def pages(self):
        """Pages of the KV cache it takes."""
        return -(-(len(self.prompt) + self.said) // _PAGE)


class ThreadedEngine:
    """Its loops are run by threads of the caller's; all else only leaves instructions to them."""

    def __init__(self, folder):
        self.model = Model.at(folder)
        self.config: Any = None
        self._instructions: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._outputs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._reloaded = threading.Event()
        self._exit = threading.Event()
        self._running = []
        self._waiting = []
        self._requests = 0

    def init_threaded_engine(self, device, callback):
        """What to tell of outputs, always from the thread of the second loop."""
        self._callback = callback

    def run_background_loop(self):
        """The engine itself; an error ends it, and nobody is told."""
        while not self._exit.is_set():
            while not (self._running or self._waiting) or not self._instructions.empty():
                instruction, argument = self._instructions.get()
                instruction(argument)
                if self._exit.is_set():
                    return
            self._exit.wait(self.model.script.get("step_s", 0.0))
            self._step()

    def run_background_stream_back_loop(self):
        """Hands outputs over, in Python."""
        while not self._exit.is_set():
            if outputs := self._outputs.get():
                self._callback(outputs)

    def exit_background_loop(self):
        """Both loops end after their step."""
        self._exit.set()
        self._instructions.put((lambda _: None, None))
        self._outputs.put([])

    def reload(self, config_json):
        """Waits until the engine is loaded: for ever, where its thread died of that."""
        self._instructions.put((self._reload, config_json))
        self._reloaded.wait()

    def create_request(self, request_id, prompt, options):
        """InternalError where C++ does not take the options; neither Python nor it says so earlier."""
        temperature, top_p = options.get("temperature"), options.get("top_p")
        if temperature is not None and temperature < 0:
            raise InternalError('Check failed: "temperature" should be non-negative')
        if top_p is not None and not 0 <= top_p <= 1:
            raise InternalError('Check failed: "top_p" should be in range [0, 1]')
        return Request(request_id, prompt, options, unread=len(prompt))

    def add_request(self, request):
        """Queues it, without a bound."""
        self._instructions.put((self._add, request))

    def abort_request(self, request_id):
        """Takes effect between two steps; unknown ids are passed over."""
        self._instructions.put((self._abort, request_id))

    def _reload(self, config_json):
        config = EngineConfig.from_json(config_json)
        self.model.load(config.model_lib)
        self.config = self.model.completed(config)
        self._reloaded.set()

    def _add(self, request):
        self._requests += 1
        script = self.model.script
        if self._requests == script.get("stalls_at"):
            self._exit.wait()
        if self._requests == script.get("dies_at"):
            raise InternalError(script.get("dies_of", "Check failed: (alive) is false"))
        text = "".join(request.prompt)
        said = next((said for part, said in script.get("answers", {}).items() if part in text), None)
        request.answer = tokens_of(script.get("answer", "") if said is None else said)
        if len(request.prompt) >= self.config.max_single_sequence_length:
            self._outputs.put([(request.id, "", "length", None), (request.id, "", None, _usage(0, 0))])
            return
        self._waiting.append(request)

    def _abort(self, request_id):
        for requests in (self._running, self._waiting):
            for request in [request for request in requests if request.id == request_id]:
                requests.remove(request)
                self._outputs.put([(request_id, "", "abort", None), (request_id, "", None, _usage(0, 0))])

    def _step(self):
        while self._waiting and len(self._running) < self.config.max_num_sequence:
            self._running.append(self._waiting.pop(0))
        if len(self._running) > self.model.compiled["max_batch_size"]:
            raise InternalError("Check failed: (offset + needed_size <= size) is false: storage allocation failure")
        self._preempt()
        outputs = []
        chunk = self.config.prefill_chunk_size
        for request in list(self._running):
            request.batched |= len(self._running) > 1
            read = min(chunk, request.unread)
            request.unread -= read
            request.prefilled += read
            chunk -= read
            if not request.unread:
                outputs += self._say(request)
        if outputs:
            self._outputs.put(outputs)

    def _preempt(self):
        """Where pages are short, conversations are read anew for every token."""
        pages = self.config.max_total_sequence_length // _PAGE + 1
        free = pages - sum(request.pages for request in self._running)
        for request in self._running[::-1]:
            if free >= _PAGES_TO_STEP * len(self._running):
                return
            free += request.pages
            if not request.unread:
                request.prefilled += len(request.prompt) + request.said
            if not request.preempted:
                self.model.note("preempted", id=request.id)
            request.preempted = True

    def _say(self, request):
        script, options = self.model.script, request.options
        ended = not request.answer or (request.said >= len(request.answer) and not script.get("endless"))
        token = "" if ended else request.answer[request.said % len(request.answer)]
        request.said += not ended
        text, stopped = _held_back(request, token, "stop" if ended else None)
        length = len(request.prompt) + request.said >= self.config.max_single_sequence_length
        finish = stopped or ("length" if length or request.said == options.get("max_tokens") else None)
        if not finish:
            return [(request.id, text, None, None)]
        self._running.remove(request)
        text += "" if stopped else request.held
        usage = _usage(len(request.prompt), request.said, prefilled=request.prefilled, batched=request.batched)
        return [(request.id, text, finish, None), (request.id, "", None, usage)]


def _held_back(request, token, finish):
    """What may be shown after `token`: what may begin a stop string is held back, and none is ever shown."""
    text = request.held + token
    stops = request.options.get("stop_strs", [])
    cuts = [at for stop in stops if (at := text.find(stop)) >= 0]
    if cuts:
        request.held = ""
        return text[: min(cuts)], "stop"
    begun = 0
    if not finish:
        begun = max((n for stop in stops for n in range(len(stop)) if text.endswith(stop[:n])), default=0)
    request.held = text[len(text) - begun :]
    return text[: len(text) - begun], finish


def _usage(prompt, completion, *, prefilled=0, batched=False):
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    if not prompt:
        return usage
    decoded = max(0, completion - 1)
    extra = {"prompt_tokens": prompt, "completion_tokens": completion, "prefill_tokens": prefilled}
    extra |= {"decode_tokens": decoded, "jump_forward_tokens": 0, "end_to_end_latency_s": 1.0, "ttft_s": 0.5}
    if prefilled:
        extra["prefill_tokens_per_s"] = 250.0
    if decoded:
        extra["decode_tokens_per_s"] = _NONSENSE if batched else 25.0
    return {**usage, "extra": extra}
