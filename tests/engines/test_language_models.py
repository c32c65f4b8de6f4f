"""Models by name: loaded when they are wanted, given back, and refused where they would not fit."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Message, Sampling
from agent.contract.terms import Role, Stage
from agent.engines.budget import MemoryBudget
from agent.engines.language_models import DEFAULT, LanguageModels
from agent.engines.opening import Opener
from agent.engines.settings import LanguageModelSettings, MemorySettings, RegisteredModel
from agent.errors import EngineError

pytestmark = [pytest.mark.anyio, pytest.mark.once]

GIB = 2**30


def model(cls=RegisteredModel, *, template=None, system=None, max_tokens=None, **options):
    return cls(name="scripted", options=options, template=template, system=system, max_tokens=max_tokens)


@asynccontextmanager
async def serving(models_dir, *, available=8 * GIB, **registered):
    budget = MemoryBudget(MemorySettings(), available=lambda: available)
    opener = Opener(models_dir, budget, on_change=lambda: None)
    models = LanguageModels(model(LanguageModelSettings, answer="own"), registered, opener)
    try:
        yield models
    finally:
        await models.close()


async def said(served, question="Hi", *, raw=False):
    ask = served.engine.complete if raw else served.engine.chat
    asked = question if raw else [Message(role=Role.USER, content=question)]
    return "".join([delta.text async for delta in ask(asked, Sampling())])


async def test_a_model_is_loaded_for_the_first_request_that_names_it(models_dir):
    async with serving(models_dir, other=model(answer="other", system="Rhyme.", max_tokens=7)) as models:
        assert [each.loaded for each in models.listing] == [False, False]
        first, second = await asyncio.gather(models.get("other"), models.get("other"))
        assert first.engine is second.engine
        assert (first.system, first.sampling.max_tokens, await said(first)) == ("Rhyme.", 7, "other")
        assert {each.name: each.loaded for each in models.listing} == {DEFAULT: False, "other": True}
        assert await said(await models.get(None)) == "own"


async def test_a_model_that_nobody_registered_is_not_found(models_dir):
    async with serving(models_dir, other=model()) as models:
        with pytest.raises(EngineError, match="there are default, other") as caught:
            await models.get("another")
        assert (caught.value.code, caught.value.field) == (ErrorCode.NOT_FOUND, "model")


async def test_unloading_ends_the_process_and_loading_starts_another(models_dir):
    async with serving(models_dir, other=model()) as models:
        host = await models.load("other")
        await models.unload("other")
        await models.unload("other")
        assert host.pid is None
        assert (await models.load("other")).pid


async def test_a_model_that_answers_is_not_unloaded(models_dir):
    async with serving(models_dir, other=model(piece_delay_s=30, answer="a b")) as models:
        answer = (await models.get("other")).engine.chat([Message(role=Role.USER, content="Hi")], Sampling())
        assert (await anext(answer)).text == "a"
        with pytest.raises(ContractError, match="answering") as caught:
            await models.unload("other")
        assert caught.value.code is ErrorCode.BUSY
        assert caught.value.retry_after_ms
        await answer.aclose()


async def test_a_caller_who_leaves_does_not_end_the_loading_for_others(models_dir):
    async with serving(models_dir, other=model()) as models:
        impatient = asyncio.create_task(models.get("other"))
        patient = asyncio.create_task(models.get("other"))
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).engine


async def test_what_would_not_fit_is_refused_with_the_numbers(models_dir):
    async with serving(models_dir, available=2 * GIB, big=model(needs_bytes=4 * GIB)) as models:
        with pytest.raises(EngineError, match="needs about 4096 MiB; 1792 MiB are left") as caught:
            await models.get("big")
        error = caught.value
        assert (error.code, error.reason) == (ErrorCode.MODEL_NOT_READY, "out_of_memory")
        assert (error.actual, error.limit) == (4 * GIB, 2 * GIB - MemorySettings().reserve_bytes)
        assert await models.load(DEFAULT)


def test_what_is_being_loaded_counts():
    budget = MemoryBudget(MemorySettings(reserve_bytes=0), available=lambda: 3 * GIB)
    first, second = budget.room(Stage.LLM, "a", 2 * GIB), budget.room(Stage.STT, "b", 2 * GIB)
    with first, pytest.raises(EngineError, match="2048 promised"), second:
        pass
    with budget.room(Stage.STT, "b", 2 * GIB):
        pass


def test_the_check_can_be_turned_off():
    with MemoryBudget(MemorySettings(check=False), available=lambda: 0).room(Stage.LLM, "a", GIB):
        pass


async def test_a_template_turns_the_conversation_into_a_raw_prompt(models_dir):
    async with serving(models_dir, other=model(template="plain", answer="{text}")) as models:
        served = await models.get("other")
        assert await said(served) == "User: Hi\nAssistant:"
        assert await said(served, "[INST] Hi [/INST]", raw=True) == "[INST] Hi [/INST]"


async def test_a_template_that_is_none_refuses_the_model(models_dir):
    async with serving(models_dir, other=model(template="klingon")) as models:
        with pytest.raises(EngineError, match="no template 'klingon'"):
            await models.load("other")
