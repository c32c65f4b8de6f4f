"""MLC as a person meets it, against a double that fails in all the ways the real one does; and against the real one."""

import asyncio
import json
import logging
import os
import sys
import threading
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from agent.contract.errors import ErrorCode
from agent.contract.messages import Message, Sampling
from agent.contract.terms import FinishReason, Role, Stage
from agent.engines import mlc_options
from agent.engines.llm_mlc import Mlc
from agent.engines.mlc_options import HEADROOM, MlcOptions
from agent.errors import EngineDied, EngineError
from tests.engines.asking import answer, chat, text_of
from tests.engines.mlc_models import make_library, make_model, make_whole_model

pytestmark = [pytest.mark.anyio, pytest.mark.once]

ROOT = Path(__file__).parents[2]
DOUBLES = ROOT / "tests" / "doubles"
HOSTED = {"environment": {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, DOUBLES)))}}
NAME = "Tiny-q4f16_1"
PARIS = "The capital of France is Paris."
ANSWERS = {"answers": {"capital": PARIS, "week": "A week has seven days."}, "answer": "I do not know."}
ENDLESS = {"answer": "and so on", "endless": True, "step_s": 0.001}


@pytest.fixture
def double(monkeypatch):
    """The leaf, over the double; what it sets for its whole process is set back."""
    monkeypatch.syspath_prepend(DOUBLES)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    yield Mlc
    for name in [name for name in sys.modules if name.partition(".")[0] in {"mlc_llm", "tvm"}]:
        del sys.modules[name]


@pytest.fixture
async def load(double, tmp_path):
    """Makes a model and loads it here; `script` and `described` are the model's, the rest are options."""
    loaded = []

    def start(*, script=None, described=None, **options):
        make_whole_model(tmp_path / NAME, script=script or ANSWERS, **(described or {}))
        leaf = double(MlcOptions(model=NAME, device="cpu", **options), tmp_path)
        loaded.append(leaf)
        return leaf

    yield start
    for leaf in loaded:
        leaf.close()


@pytest.fixture
def mlc(hosted, tmp_path):
    """Makes a model and loads it in a worker."""

    async def start(*, script=None, settings=None, **options):
        make_whole_model(tmp_path / NAME, script=script or ANSWERS)
        settings = {**HOSTED, **(settings or {})}
        return await hosted(Stage.LLM, "mlc", settings=settings, model=str(tmp_path / NAME), device="cpu", **options)

    return start


@pytest.fixture
def journal(tmp_path):
    """What the double wrote down of one kind."""

    def read(kind):
        path = tmp_path / NAME / "journal.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]

    return read


async def test_an_answer_comes_in_pieces_and_tells_what_it_took(load):
    llm = load()
    *pieces, last = await answer(llm, "What is the capital of France?")
    assert [piece.text for piece in pieces] == ["The", " capital", " of", " France", " is", " Paris."]
    assert last.finish_reason is FinishReason.STOP
    assert (last.prompt_tokens, last.completion_tokens) == (10, 6)
    assert (last.prefill_tok_s, last.decode_tok_s) == (None, 25.0)  # ten tokens tell nothing about reading
    assert (await answer(llm, "word " * 20))[-1].prefill_tok_s == 250.0


async def test_an_answer_of_one_token_has_no_rate(load):
    last = (await answer(load(), "What is the capital of France?", max_tokens=1))[-1]
    assert (last.finish_reason, last.completion_tokens, last.decode_tok_s) == (FinishReason.LENGTH, 1, None)


async def test_an_mlc_that_tells_of_no_rates_is_believed_in_the_rest(load):
    last = load()._last(FinishReason.STOP, SimpleNamespace(prompt_tokens=9, completion_tokens=2, extra=None))
    assert (last.prompt_tokens, last.completion_tokens, last.prefill_tok_s, last.decode_tok_s) == (9, 2, None, None)


async def test_it_says_what_it_loaded(load, tmp_path, capsys):
    llm = load(context_window=300)
    assert llm.info.label == f"mlc/{NAME}"
    assert (llm.info.device, llm.info.context_window, llm.info.version) == ("cpu:0", 300, "0.1.dev0")
    folder = tmp_path / NAME
    assert capsys.readouterr().err.splitlines() == [
        f"mlc: model folder {folder}",
        f"mlc: chat config {folder}/mlc-chat-config.json",
        f"mlc: library {folder}/{NAME}-cpu.so",
    ]


async def test_what_is_asked_reaches_mlc_and_what_is_not_is_left_to_the_model(load, journal):
    llm = load()
    await answer(llm, "hello")
    asked = {"temperature": 0.0, "top_p": 0.5, "max_tokens": 3, "seed": 7}
    asked |= {"frequency_penalty": 0.5, "presence_penalty": -0.5}
    await answer(llm, "hello", stop=("x", "y"), **asked)
    first, second = (entry["options"] for entry in journal("asked"))
    assert not first.keys() & asked.keys()
    assert first["stop_strs"] == ["<user>"]
    assert asked.items() <= second.items()
    assert second["stop_strs"] == ["x", "y", "<user>"]


async def test_a_repetition_penalty_that_mlc_would_not_take_is_refused(load, journal):
    llm = load()
    for penalty in (1.0, 1.1):  # none, and the model's own
        assert await answer(llm, "hello", repetition_penalty=penalty)
    with pytest.raises(EngineError, match=r"only from mlc-chat-config\.json, where it is 1\.1") as caught:
        await answer(llm, "hello", repetition_penalty=1.3)
    assert (caught.value.code, caught.value.field) == (ErrorCode.BAD_REQUEST, "params.repetition_penalty")
    assert not caught.value.retriable
    assert len(journal("asked")) == 2


async def test_an_mlc_that_takes_a_repetition_penalty_gets_it(load, monkeypatch):
    llm = load()
    taken = []

    async def create(*, repetition_penalty=None, **asked):
        taken.append(repetition_penalty)
        return await original(**asked)

    original = llm._engine.chat.completions.create
    monkeypatch.setattr(llm._engine.chat.completions, "create", create)
    assert await answer(llm, "hello", repetition_penalty=1.3)
    assert taken == [1.3]


async def test_a_conversation_gets_the_model_s_form_and_a_prompt_none(load, journal):
    llm = load()
    marks = "<|im_end|> [INST]"
    await answer(llm, "hello", "yes?", marks)
    async for _ in llm.complete(f"  {marks}\n", Sampling()):
        pass
    conversation, prompt = (entry["prompt"] for entry in journal("asked"))
    assert conversation == "<system>Be kind.\n<user> hello\n<assistant> yes?\n<user> < |im_end|> [ INST]\n<assistant>"
    assert prompt == f"  {marks}\n"


async def test_a_stop_string_ends_the_answer_and_is_not_shown(load):
    llm = load(script={"answer": "one two three <user> four"})
    stopped = await answer(llm, "count", stop=(" three",))
    assert text_of(stopped) == "one two"
    assert stopped[-1].finish_reason is FinishReason.STOP
    assert text_of([delta async for delta in llm.complete("count", Sampling())]) == "one two three "


@pytest.mark.parametrize(("words", "tokens"), [(295, 299), (296, 300), (297, 301), (600, 604)])
async def test_a_conversation_that_leaves_no_room_is_refused_with_both_numbers(load, words, tokens):
    llm = load(context_window=300)
    if tokens < 300:
        assert (await answer(llm, "word " * words))[-1].finish_reason is FinishReason.LENGTH
        return
    many = "more than" if tokens > 300 else "as many as"
    with pytest.raises(EngineError, match=f"has {tokens} tokens, {many} the model's window of 300") as caught:
        await answer(llm, "word " * words)
    assert caught.value.code is ErrorCode.CONTEXT_LENGTH_EXCEEDED
    assert (caught.value.limit, caught.value.actual) == (300, tokens)


async def test_what_mlc_refuses_is_the_caller_s_error(load):
    misplaced = [Message(role=role, content="hello") for role in (Role.USER, Role.SYSTEM)]
    with pytest.raises(EngineError, match="refuses: System prompt at position 1") as caught:
        _ = [delta async for delta in load().chat(misplaced, Sampling())]
    assert (caught.value.code, caught.value.field) == (ErrorCode.BAD_REQUEST, "messages")


async def test_an_error_is_one_line_and_told_once(load, capsys):
    llm = load()
    capsys.readouterr()
    with pytest.raises(EngineError) as caught:
        _ = [delta async for delta in llm.complete("hello", Sampling.model_construct(temperature=-1.0, stop=()))]
    assert caught.value.message == 'MLC failed: "temperature" should be non-negative'
    assert caught.value.retriable
    logging.getLogger("mlc_llm.support").warning("\x1b[1mbeware\x1b[0m\nof %s", "this")
    logging.getLogger("mlc_llm.support").info("nothing")
    assert capsys.readouterr().err == "mlc: beware of this\n"


async def test_conversations_at_once_are_kept_apart_and_their_odd_rates_dropped(load):
    llm = load(script={**ANSWERS, "step_s": 0.005})
    paris, week = await asyncio.gather(answer(llm, "The capital of France?"), answer(llm, "Days in a week?"))
    assert text_of(paris) == PARIS
    assert text_of(week) == "A week has seven days."
    assert paris[-1].decode_tok_s is None


async def test_conversations_have_room_to_the_end_of_their_windows(load, journal):
    llm = load(script={**ENDLESS, "step_s": 0.0}, context_window=256, max_num_sequence=3)
    assert llm.slots == 3
    ends = [deltas[-1] for deltas in await asyncio.gather(*(answer(llm, "hello") for _ in range(3)))]
    assert [end.prompt_tokens + end.completion_tokens for end in ends] == [256] * 3
    assert journal("preempted") == []


async def test_a_closed_conversation_is_aborted_before_closing_returns(load, journal, monkeypatch):
    llm = load(script=ENDLESS)
    streams = []

    async def create(**asked):
        streams.append(await original(**asked))
        return streams[0]

    original = llm._engine.chat.completions.create
    monkeypatch.setattr(llm._engine.chat.completions, "create", create)
    deltas = chat(llm, "hello")
    await anext(deltas)
    await deltas.aclose()
    assert streams[0].ag_frame is None  # over, and not left to the garbage collector
    assert {entry["id"] for entry in journal("aborted")} == {journal("asked")[0]["id"]}
    assert not llm._engine.state.async_streamers


async def test_a_cancelled_conversation_is_aborted(load, journal):
    llm = load(script={**ANSWERS, "step_s": 600.0})
    task = asyncio.create_task(answer(llm, "hello"))
    while not journal("asked"):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert journal("aborted")


async def test_an_answer_that_ended_is_not_aborted(load, journal):
    await answer(load(), "hello")
    assert journal("aborted") == []


async def test_closing_ends_the_threads(load, journal):
    before = set(threading.enumerate())
    llm = load()
    await answer(llm, "hello")
    engine_s = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    llm.close()
    assert not any(thread.is_alive() for thread in engine_s if "constructor" not in thread.name)
    assert len(journal("terminated")) == 1
    with pytest.raises(EngineError, match="MLC failed: The AsyncThreadedEngine has terminated"):
        await answer(llm, "hello")


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({}, (4, 512, 4 * (512 + HEADROOM), 64)),
        ({"mode": "interactive"}, (1, 512, 512 + HEADROOM, 64)),
        ({"max_num_sequence": 2, "context_window": 9_999}, (2, 512, 2 * (512 + HEADROOM), 64)),
        ({"max_total_sequence_length": 1_500, "prefill_chunk_size": 32}, (2, 512, 1_500, 32)),
        ({"max_total_sequence_length": 512}, (1, 512 - HEADROOM, 512, 64)),
        ({"mode": "server"}, (2, 512, 2_000, 64)),  # what the double has memory for
        ({"mode": "server", "max_num_sequence": 1}, (1, 512, 512 + HEADROOM, 64)),
    ],
)
async def test_how_much_of_a_model_is_taken(load, journal, options, taken):
    slots, window, total, chunk = taken
    llm = load(script={**ANSWERS, "memory": 2_000}, **options)
    config = llm._engine.engine_config
    assert (llm.slots, llm.info.context_window) == (slots, window)
    assert (config.max_total_sequence_length, config.prefill_chunk_size) == (total, chunk)
    (loading,) = journal("loading")
    assert loading["device"] == "cpu:0"
    assert json.loads(loading["config"])["verbose"] is False


async def test_long_windows_and_large_chunks_are_not_taken_unasked(load):
    llm = load(described={"window": 32_768, "chunk": 8_192, "batch": 80})
    config = llm._engine.engine_config
    assert (llm.slots, llm.info.context_window, config.prefill_chunk_size) == (4, 4_096, 512)


@pytest.mark.parametrize(("option", "asked", "compiled"), [("max_num_sequence", 5, 4), ("prefill_chunk_size", 65, 64)])
async def test_more_than_the_model_was_compiled_for_is_refused(load, journal, option, asked, compiled):
    with pytest.raises(EngineError, match=f"{option} {asked} is more than the {compiled} that the model") as caught:
        load(**{option: asked})
    assert (caught.value.limit, caught.value.actual) == (compiled, asked)
    assert journal("loading") == []


@pytest.mark.usefixtures("double")
async def test_what_the_library_was_compiled_for_counts(tmp_path):
    make_model(tmp_path / "other", batch=80)
    make_library(tmp_path / "other" / "lib.so", batch=1)
    reason = Mlc.missing(MlcOptions(model="other", device="cpu", max_num_sequence=2), tmp_path)
    assert reason == "max_num_sequence 2 is more than the 1 that the model was compiled for"


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cuda:", ":0", "auto:0", "CUDA", "cpu:0 "])
def test_a_device_is_a_name_and_a_number(device):
    with pytest.raises(ValidationError):
        MlcOptions(device=device)


@pytest.mark.parametrize(
    ("nodes", "device"), [([], "cpu"), (["nvidia0"], "cuda"), (["nvhost-gpu"], "cuda"), (["nvidiactl"], "cpu")]
)
def test_auto_is_an_nvidia_gpu_or_else_the_cpu(monkeypatch, tmp_path, nodes, device):
    for node in nodes:
        (tmp_path / node).touch()
    monkeypatch.setattr(mlc_options, "_DEV", tmp_path)
    assert MlcOptions().device_and_number == (device, 0)
    assert MlcOptions(device="vulkan:1").device_and_number == ("vulkan", 1)


async def test_a_device_that_is_not_there_is_told_before_loading(load, tmp_path, journal, monkeypatch):
    load().close()
    make_library(tmp_path / NAME / "lib.so")
    options = MlcOptions(model=NAME, device="cuda:1")
    with pytest.raises(EngineError, match="MLC finds no device cuda:1 here"):
        Mlc(options, tmp_path)
    monkeypatch.setenv("TVM_DOUBLE_DEVICES", "cuda:0 cuda:1")
    Mlc(options, tmp_path).close()
    assert [loading["device"] for loading in journal("loading")] == ["cpu:0", "cuda:1"]


@pytest.mark.usefixtures("double")
async def test_without_a_library_nothing_is_compiled_unasked(tmp_path):
    make_model(tmp_path / "bare")
    options = MlcOptions(model="bare", device="cpu")
    command = f"`mlc_llm compile {tmp_path}/bare --device cpu -o {tmp_path}/bare/bare-cpu.so` makes it"
    with pytest.raises(EngineError, match=command):
        Mlc(options, tmp_path)
    assert command in (Mlc.missing(options, tmp_path) or "")
    jit = MlcOptions(model="bare", device="cpu", jit=True, max_num_sequence=8, opt="O0", tensor_parallel_shards=1)
    assert Mlc.missing(jit, tmp_path) is None
    with pytest.raises(EngineError, match="MLC cannot load bare-q4f16_1: JIT is disabled by MLC_JIT_POLICY=OFF"):
        Mlc(jit, tmp_path)


def test_what_is_missing(monkeypatch, tmp_path):
    options = MlcOptions(model=NAME, device="cpu")
    packages = {"mlc_llm", "tvm"}
    monkeypatch.setattr("agent.engines.llm_mlc.find_spec", lambda name: name in packages or None)

    def missing():
        return Mlc.missing(options, tmp_path) or ""

    assert f"no mlc-chat-config.json of '{NAME}'" in missing()
    assert Mlc.needs_bytes(options, tmp_path) == 0
    folder = make_whole_model(tmp_path / NAME)
    assert missing() == ""
    (folder / "params_shard_0.bin").unlink()
    assert "no file" in missing()
    packages.remove("tvm")
    assert "tvm is not installed" in missing()
    packages.clear()
    assert "mlc_llm is not installed" in missing()


def test_memory_is_weights_windows_and_a_share(tmp_path):
    make_whole_model(tmp_path / NAME)
    one, two = (
        Mlc.needs_bytes(MlcOptions(model=NAME, device="cpu", max_num_sequence=slots), tmp_path) for slots in (1, 2)
    )
    assert two - one == (512 + HEADROOM) * 128
    assert one > 2 * 48 + (512 + HEADROOM) * 128


async def test_a_worker_answers_several_at_once(mlc, caplog):
    caplog.set_level(logging.DEBUG, logger="agent.engines.process")
    llm = await mlc()
    assert llm.info.label == f"mlc/{NAME}"
    answers = await asyncio.gather(*(answer(llm, f"The capital, please, {turn}") for turn in range(6)))
    assert {text_of(deltas) for deltas in answers} == {PARIS}
    assert [deltas[-1].finish_reason for deltas in answers] == [FinishReason.STOP] * 6
    assert any("mlc: model folder" in line for line in caplog.messages)


async def test_a_conversation_that_nobody_wants_does_not_hold_up_the_next(mlc, journal):
    llm = await mlc(script={**ENDLESS, "answers": ANSWERS["answers"]}, mode="interactive")
    async with aclosing(chat(llm, "hello")) as deltas:
        assert (await anext(deltas)).text
    async with aclosing(chat(llm, "The capital?", max_tokens=6)) as deltas:
        assert text_of([delta async for delta in deltas]) == PARIS
    assert {entry["id"] for entry in journal("aborted")} == {journal("asked")[0]["id"]}
    assert llm.state.restarts == 0


async def test_a_load_that_hangs_mlc_is_an_error_at_once(mlc):
    said = "\x1b[31mTraceback\x1b[0m\n  File engine.cc\nInternalError: Check failed: (ok) is false: Out of GPU memory"
    with pytest.raises(EngineError) as caught:
        await mlc(script={"load_error": said}, settings={"load_timeout_s": 60.0})
    assert caught.value.message == f"MLC cannot load {NAME}: (ok) is false: Out of GPU memory"


async def test_a_list_of_weights_under_its_other_name_is_told_with_what_helps(hosted, tmp_path):
    folder = make_whole_model(tmp_path / NAME, listing="ndarray-cache.json")
    with pytest.raises(EngineError, match=f"wants `cp {folder}/ndarray-cache.json {folder}/tensor-cache.json`"):
        await hosted(Stage.LLM, "mlc", settings=HOSTED, model=str(folder), device="cpu")


async def test_a_broken_model_never_reaches_mlc(hosted, tmp_path, journal):
    folder = make_whole_model(tmp_path / NAME)
    (folder / "params_shard_1.bin").write_bytes(b"cut")
    with pytest.raises(EngineError, match=r"params_shard_1\.bin has 3 bytes instead of 48"):
        await hosted(Stage.LLM, "mlc", settings=HOSTED, model=str(folder), device="cpu")
    assert journal("loading") == []


async def test_an_engine_whose_thread_dies_is_started_anew(mlc, caplog):
    llm = await mlc(script={**ENDLESS, "dies_at": 2, "dies_of": "Check failed: \x1b[1mout\x1b[0m\nof memory"})
    async with aclosing(chat(llm, "hello")) as first:
        await anext(first)
        with pytest.raises(EngineDied):
            await answer(llm, "hello")
        with pytest.raises(EngineDied):
            _ = [delta async for delta in first]
    assert text_of(await answer(llm, "hello", max_tokens=3)) == "and so on"
    assert llm.state.restarts == 1
    assert any("mlc: a thread of MLC died: out of memory" in line for line in caplog.messages)
    assert not any("Traceback" in line for line in caplog.messages)


async def test_an_engine_that_falls_silent_is_started_anew(mlc, caplog):
    llm = await mlc(script={**ENDLESS, "stalls_at": 2}, token_timeout_s=0.5)
    assert await answer(llm, "hello", max_tokens=3)
    with pytest.raises(EngineDied):
        await answer(llm, "hello")
    assert await answer(llm, "hello", max_tokens=3)
    assert llm.state.restarts == 1
    assert any("mlc: no token within 0.5 s" in line for line in caplog.messages)


async def test_a_slow_reader_is_not_taken_for_a_silent_engine(load, monkeypatch):
    llm = load(script=ENDLESS, token_timeout_s=0.05)
    given_up: list[str] = []
    monkeypatch.setattr("agent.engines.llm_mlc.give_up", given_up.append)
    async with aclosing(chat(llm, "hello")) as deltas:
        await anext(deltas)
        await asyncio.sleep(0.2)
        await anext(deltas)
    assert given_up == []
