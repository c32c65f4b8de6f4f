"""The benchmarks run through and tell what came of it; how fast is theirs to say, not a test's."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks.journal import Written
from benchmarks.peers import Peer
from benchmarks.round_trip import BROKERS

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]


@pytest.mark.anyio
@pytest.mark.timeout(240)
async def test_a_quick_round_trip_leaves_a_table_and_a_file(tmp_path):
    plan = ("--quick", "--seconds", "0.02", "--in-flight", "1", "3")
    shown, report = await measured("round_trip", *plan, folder=tmp_path)
    assert all(broker in shown for broker in BROKERS)
    assert report["settings"] == {"rounds": 1, "seconds": 0.02, "in_flight": [1, 3]}
    results = report["results"]
    assert len(results) == len(BROKERS) * 2 * 2 * len(Peer)
    assert {result["peer"] for result in results} == {peer.value for peer in Peer}
    assert all(result["requests"] and not result["failures"] for result in results)
    assert all((result["added_ms"] is None) == ("bare" in result["peer"]) for result in results)


@pytest.mark.anyio
async def test_a_quick_look_at_the_journal_compares_it_with_none(tmp_path):
    shown, report = await measured("journal", "--quick", "--seconds", "0.05", folder=tmp_path)
    assert shown.count("; aim ") == 2
    results = report["results"]
    assert {result["peer"] for result in results} == {written.value for written in Written}
    assert len(results) == len(Written) * 2
    assert all(result["requests"] and not result["failures"] for result in results)


@pytest.mark.anyio
async def test_a_small_burst_has_all_its_outcomes(tmp_path):
    _, report = await measured("burst", "--quick", "--requests", "24", folder=tmp_path)
    [result] = report["results"]
    assert result["outcomes"] == {"ok": 24}
    assert result["memory"]["peak_mib"] >= result["memory"]["before_mib"] > 0


@pytest.mark.anyio
@pytest.mark.embedded
async def test_a_quick_look_at_the_engines_leaves_tables_and_a_file(tmp_path):
    chosen = ("--quick", "--engines", "pocketsphinx", "flite")
    _, report = await measured("engines", *chosen, folder=tmp_path)
    results = report["results"]
    assert [(result["stage"], result["engine"]) for result in results] == [
        ("stt", "pocketsphinx"),
        ("stt", "pocketsphinx"),
        ("tts", "flite"),
    ]
    assert all(result["load_s"] > 0 and result["memory_mib"] > 0 for result in results)
    assert all(figure > 0 for result in results for figure in result["figures"].values())


async def measured(name, *arguments, folder):
    """What a benchmark shows, and what it writes into `folder`."""
    argv = ("-m", f"benchmarks.{name}", *arguments, "--folder", str(folder))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *argv, cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "NO_COLOR": "1"}
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    (file,) = folder.iterdir()
    assert str(file) in output.decode()
    return output.decode(), json.loads(file.read_text(encoding="utf-8"))
