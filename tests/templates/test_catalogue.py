"""What is saved, taken away and undone, and what of it is there afterwards, also after a restart (row 3.17)."""

import asyncio
import json
from contextlib import asynccontextmanager
from itertools import count

import pytest

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import MAX_TEMPLATE_BYTES, MAX_TEMPLATES
from agent.contract.templates import Template
from agent.errors import StorageError
from agent.journal.file import Statement
from agent.journal.journal import Journal
from agent.templates import versions
from agent.templates.catalogue import Catalogue
from agent.templates.versions import MAX_VERSIONS

pytestmark = pytest.mark.anyio


def template(prompt="{user}", **keys):
    return Template.decode(json.dumps({"template": prompt, **keys}).encode())


SHIPPED = {"home": template("Briefly: {user}")}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


@asynccontextmanager
async def opened(path):
    async with Journal(path, synchronous="NORMAL") as journal:
        yield Catalogue(journal.templates, SHIPPED)


def numbers(catalogue, name):
    return [version.number for version in catalogue.history(name)]


async def refused(call):
    with pytest.raises(ContractError) as caught:
        await call
    return caught.value


async def test_what_is_saved_is_there_after_a_restart(path):
    async with opened(path) as catalogue:
        await catalogue.put("brief", template("1 {user}"))
        await catalogue.put("brief", template("2 {user}"))
    async with opened(path) as catalogue:
        assert catalogue.find("brief").template == "2 {user}"
        assert (list(catalogue.current), numbers(catalogue, "brief")) == (["brief", "home"], [1, 2])


async def test_the_same_again_is_no_new_version(path):
    async with opened(path) as catalogue:
        for _ in range(2):
            await catalogue.put("brief", template(city="Bern", prompt="{city} {user}"))
        assert numbers(catalogue, "brief") == [1]


async def test_undo_goes_back_version_by_version(path):
    async with opened(path) as catalogue:
        await catalogue.put("brief", template("1 {user}"))
        await catalogue.delete("brief")
        assert "brief" not in catalogue.current
        await catalogue.put("brief", template("3 {user}"))
    async with opened(path) as catalogue:
        await catalogue.undo("brief")
        assert "brief" not in catalogue.current
        await catalogue.undo("brief")
        assert catalogue.find("brief").template == "1 {user}"
        await catalogue.undo("brief")
        assert (await refused(catalogue.undo("brief"))).code is ErrorCode.NOT_FOUND
    async with opened(path) as catalogue:
        assert list(catalogue.current) == ["home"]


async def test_a_shipped_one_lies_below_what_is_saved(path):
    async with opened(path) as catalogue:
        await catalogue.put("home", template("In a word: {user}"))
        assert numbers(catalogue, "home") == [0, 1]
        await catalogue.delete("home")
    async with opened(path) as catalogue:
        assert "home" not in catalogue.current
        await catalogue.undo("home")
        assert catalogue.find("home").template == "In a word: {user}"
        await catalogue.undo("home")
        assert catalogue.find("home") is SHIPPED["home"]
        assert "shipped" in (await refused(catalogue.undo("home"))).message


async def test_a_name_may_be_that_of_a_file(path):
    """Row 3.4"""
    async with opened(path) as catalogue:
        await catalogue.put("brief.json", template())
        assert list(catalogue.current) == ["brief", "home"]
        assert catalogue.find("brief.json") is catalogue.find("brief")
        await catalogue.delete("brief.json")
        await catalogue.undo("brief.json")
        assert numbers(catalogue, "brief.json") == [1]


async def test_what_is_not_valid_is_not_saved(path):
    """Row 3.15, at save"""
    async with opened(path) as catalogue:
        error = await refused(catalogue.put("brief", template("{city} {user}", town="Thun")))
        assert (error.code, error.missing_keys, error.unused_keys) == (
            ErrorCode.TEMPLATE_INVALID,
            ("city",),
            ("town",),
        )
        keys = {f"k{number}": "x" * 30_000 for number in range(3)}
        prompt = "".join(f"{{{key}}}" for key in keys)
        error = await refused(catalogue.put("brief", template(f"{{user}}{prompt}", **keys)))
        assert (error.code, error.limit) == (ErrorCode.PAYLOAD_TOO_LARGE, MAX_TEMPLATE_BYTES)
        assert catalogue.history("brief") == ()


async def test_what_is_not_there_is_named_with_those_that_are(path):
    async with opened(path) as catalogue:
        with pytest.raises(ContractError, match="there are home") as caught:
            catalogue.find("brief")
        assert (caught.value.code, caught.value.field) == (ErrorCode.NOT_FOUND, "template")
        assert (await refused(catalogue.delete("brief"))).code is ErrorCode.NOT_FOUND


async def test_of_many_versions_the_latest_are_kept_and_no_undo_goes_beyond(path):
    async with opened(path) as catalogue:
        for number in range(MAX_VERSIONS + 5):
            await catalogue.put("home", template(f"{number} {{user}}"))
    async with opened(path) as catalogue:
        assert numbers(catalogue, "home") == [0, *range(6, MAX_VERSIONS + 6)]
        for _ in range(MAX_VERSIONS - 1):
            await catalogue.undo("home")
        assert "forgotten" in (await refused(catalogue.undo("home"))).message
        assert catalogue.find("home").template == "5 {user}"


async def test_of_many_names_those_that_were_taken_away_go_first(path, monkeypatch):
    clock = count(1_000.0)
    monkeypatch.setattr("agent.templates.catalogue.time.time", lambda: next(clock))
    async with opened(path) as catalogue:
        for number in range(MAX_TEMPLATES):
            await catalogue.put(f"t{number}", template())
        error = await refused(catalogue.put("more", template()))
        assert (error.code, error.limit) == (ErrorCode.PAYLOAD_TOO_LARGE, MAX_TEMPLATES)
        await catalogue.delete("t7")
        await catalogue.delete("t3")
        await catalogue.put("more", template())
        assert (numbers(catalogue, "t7"), numbers(catalogue, "t3")) == ([], [1, 2])
    async with opened(path) as catalogue:
        assert (numbers(catalogue, "t7"), len(catalogue.current)) == ([], MAX_TEMPLATES)


async def test_of_too_much_the_oldest_versions_are_forgotten(path, monkeypatch):
    monkeypatch.setattr(versions, "MAX_BYTES", 3_000)
    async with opened(path) as catalogue:
        await catalogue.put("a", template(f"{'1' * 900} {{user}}"))
        await catalogue.put("a", template(f"{'2' * 900} {{user}}"))
        await catalogue.put("b", template(f"{'3' * 900} {{user}}"))
        await catalogue.put("b", template(f"{'4' * 900} {{user}}"))
        assert (numbers(catalogue, "a"), numbers(catalogue, "b")) == ([2], [1, 2])
        error = await refused(catalogue.put("c", template(f"{'5' * 2_000} {{user}}")))
        assert (error.code, error.limit) == (ErrorCode.PAYLOAD_TOO_LARGE, 3_000)
        assert (numbers(catalogue, "a"), numbers(catalogue, "b")) == ([2], [1, 2])


async def test_who_is_to_know_is_told_of_each_change(path):
    async with opened(path) as catalogue:
        told = []
        catalogue.on_change = lambda name: told.append((name, name in catalogue.current))
        await catalogue.put("brief", template())
        await catalogue.delete("brief")
        await catalogue.undo("brief")
        assert told == [("brief", True), ("brief", False), ("brief", True)]


async def test_a_journal_that_cannot_be_read_is_said_until_it_can(path):
    path.mkdir()
    async with Journal(path, synchronous="NORMAL", mend_interval_s=0.01) as journal:
        catalogue = Catalogue(journal.templates, SHIPPED)
        with pytest.raises(StorageError):
            catalogue.find("home")
        path.rmdir()
        mended = asyncio.Event()
        journal.on_change = lambda: None if journal.broken else mended.set()
        await mended.wait()
        assert catalogue.find("home") is SHIPPED["home"]


async def test_a_change_that_cannot_be_written_is_none(path):
    async with Journal(path, synchronous="NORMAL") as journal:
        catalogue = Catalogue(journal.templates, SHIPPED)
        await catalogue.put("brief", template())
        journal._database._break(OSError("no space left"))
        for change in (catalogue.put("brief", template("2 {user}")), catalogue.delete("home"), catalogue.undo("brief")):
            with pytest.raises(StorageError):
                await change
        assert (list(catalogue.current), numbers(catalogue, "brief")) == (["brief", "home"], [1])


async def test_what_is_known_is_written_again_into_a_new_journal(path):
    async with Journal(path, synchronous="NORMAL") as journal:
        catalogue = Catalogue(journal.templates, SHIPPED)
        await catalogue.put("brief", template())
        await catalogue.delete("home")
        versions_before = journal.templates.all()
        await journal.templates.change(drop=[("brief", 1), ("home", 1)])
        catalogue.mend()
        await journal.templates.change(drop=[("nothing", 1)])
        assert journal.templates.all() == versions_before


async def test_a_version_that_cannot_be_read_is_passed_over(path):
    async with Journal(path, synchronous="NORMAL") as journal:
        await Catalogue(journal.templates, SHIPPED).put("brief", template())
        await Catalogue(journal.templates, SHIPPED).put("brief", template("2 {user}"))
        spoil = "UPDATE template SET body = 'nonsense' WHERE version = 2"
        await journal._database.write(Statement(spoil))
        catalogue = Catalogue(journal.templates, SHIPPED)
        assert catalogue.find("brief").template == "{user}"
        await catalogue.put("brief", template("3 {user}"))
        assert Catalogue(journal.templates, SHIPPED).find("brief").template == "3 {user}"
