"""The benchmarks run through and tell what came of it; how fast is theirs to say, not a test's."""

import asyncio
import io
import json
import os
import sys
from pathlib import Path
from shutil import which

import pytest
from rich.console import Console

from benchmarks.journal import Written
from benchmarks.outcome import Outcome, Verdict
from benchmarks.peers.round_trip import FLOORS, Peer
from benchmarks.plot import Chart
from benchmarks.rounds import in_turn, ratio
from benchmarks.spread import Spread

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]


def test_the_highest_stands_for_p99_where_there_are_few():
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(3, p50=2.0, p99=3.0)
    assert Spread.of(range(200)) == Spread(200, p50=99.5, p99=198)


def test_every_second_round_goes_backwards():
    assert [in_turn("abc", number) for number in range(2)] == [["a", "b", "c"], ["c", "b", "a"]]


def test_a_ratio_is_the_median_of_the_rounds():
    assert ratio([2.0, 30.0, 8.0], [1.0, 10.0, 1.0]) == 3.0


@pytest.mark.parametrize(("at_least", "judged"), [(True, "at least: met"), (False, "at most: MISSED")])
def test_a_verdict_tells_the_aim_and_whether_it_is_met(at_least, judged):
    verdict = Verdict("Sooner", 7.53, 7, " x", at_least=at_least)
    assert str(verdict) == f"Sooner: 7.53 x; aim 7 x {judged}"


def test_an_outcome_is_told_on_the_console_in_a_file_and_as_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    shown = io.StringIO()
    charts = [Chart("Waits", "s", {"one": {"us": 1.0, "them": 2.0}, "many": {"us": 1.5}}, log=True)]
    outcome = Outcome("waits", {"rounds": 1}, [Spread.of([1.0])], charts=charts, verdicts=[Verdict("Wait", 1.0, 2.0)])
    assert outcome.tell(Console(file=shown), tmp_path) == 0
    [figures] = tmp_path.glob("waits-*.json")
    assert json.loads(figures.read_text(encoding="utf-8"))["verdicts"][0]["met"]
    assert figures.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "Wait: 1; aim 2 at most: met" in shown.getvalue()


def test_what_failed_is_told_and_makes_the_status_1(tmp_path):
    shown = io.StringIO()
    assert Outcome("waits", {}, [], failures=["nobody answered"]).tell(Console(file=shown), tmp_path) == 1
    assert "FAILED: nobody answered" in shown.getvalue()


@pytest.mark.anyio
async def test_a_quick_round_trip_leaves_a_table_and_a_file(tmp_path):
    plan = ("--quick", "--seconds", "0.02", "--in-flight", "1", "3")
    shown, report = await measured("round_trip", *plan, folder=tmp_path)
    assert "as Debian ships it" in shown
    assert report["settings"] == {"rounds": 1, "seconds": 0.02, "in_flight": [1, 3]}
    results = report["results"]
    assert len(results) == 2 * 2 * len(Peer)
    assert {result["peer"] for result in results} == {peer.value for peer in Peer}
    assert all(result["requests"] and not result["failures"] for result in results)
    assert all((result["added_ms"] is None) == (not FLOORS[Peer(result["peer"])]) for result in results)


@pytest.mark.anyio
async def test_clips_are_read_as_they_were_sent_in_every_form(tmp_path):
    _, report = await measured("payload", "--quick", folder=tmp_path)
    told = [result.get("reader") or result["form"] for result in report["results"]]
    readers = 2 * ["json + base64", "EdgeVoice"]
    assert told[:4] == readers
    assert told[4:] == [
        "json + base64 at both ends",
        "base64 in JSON, EdgeVoice",
        "raw bytes, bare paho echo",
        "raw bytes, EdgeVoice",
    ]


@pytest.mark.anyio
async def test_callers_who_wait_are_all_answered(tmp_path):
    _, report = await measured("callers", "--quick", "--callers", "20", folder=tmp_path)
    assert [(result["callers"], result["errors"]) for result in report["results"]] == [(20, 0), (20, 0)]


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
async def test_memory_is_told_of_every_process_and_of_what_waits(tmp_path):
    shown, report = await measured("memory", "--quick", folder=tmp_path)
    assert "The agent at rest" in shown
    processes = {result["process"].strip(): result for result in report["results"] if "process" in result}
    assert processes.keys() >= {"broker", "agent", "stt, scripted", "llm, scripted", "tts, scripted", "bridge"}
    assert {result["question"] for result in report["results"] if "question" in result} == {"text", "3 s clip"}


@pytest.mark.anyio
async def test_lines_of_text_are_answered_while_long_clips_arrive(tmp_path):
    _, report = await measured("arriving", "--quick", folder=tmp_path)
    assert [result["meanwhile"] for result in report["results"]] == ["nothing", "pieces of 64 kB", "one message"]
    assert all(result["ms"]["n"] and not result["failures"] for result in report["results"])


@pytest.mark.anyio
@pytest.mark.embedded
@pytest.mark.skipif(which("espeak-ng") is None, reason="the peer speaks by espeak-ng's command line")
async def test_speech_comes_before_the_answer_is_whole(tmp_path):
    _, report = await measured("first_audio", "--quick", folder=tmp_path)
    ours = [result for result in report["results"] if "EdgeVoice" in result["peer"]]
    assert len(ours) == 3
    assert all(result["first_audio_s"]["p50"] < result["whole_s"]["p50"] for result in ours)


@pytest.mark.anyio
@pytest.mark.embedded
async def test_a_few_clients_at_once_are_all_answered(tmp_path):
    _, report = await measured("load", "--quick", "--clients", "2", folder=tmp_path)
    counted = [result for result in report["results"] if "requests" in result and result["peer"] == "EdgeVoice"]
    assert [(result["question"], result["requests"], result["errors"]) for result in counted] == [
        ("typed", 6, 0),
        ("spoken", 2, 0),
    ]
    [streams] = [result for result in report["results"] if "whole" in result and result["peer"] == "EdgeVoice"]
    assert streams["whole"] == streams["streams"] == 2


@pytest.mark.anyio
@pytest.mark.embedded
async def test_a_quick_look_at_the_engines_leaves_tables_and_a_file(tmp_path):
    chosen = ("--quick", "--engines", "pocketsphinx", "flite")
    _, report = await measured("engines", *chosen, folder=tmp_path)
    results = report["results"]
    assert [(result["stage"], result["engine"]) for result in results] == [("stt", "pocketsphinx"), ("tts", "flite")]
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
    (file,) = folder.glob("*.json")
    assert str(file) in output.decode()
    return output.decode(), json.loads(file.read_text(encoding="utf-8"))
