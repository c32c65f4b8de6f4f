"""Which engine each stage would take, and whether all of them fit into memory."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent import profiles
from agent.contract.terms import Stage
from agent.doctor.finding import Finding, bad, command_in, ok
from agent.doctor.site import Site
from agent.engines.registry import choose, leaf
from agent.engines.settings import AUTO, EngineSettings
from agent.errors import EngineError
from agent.memory import available_bytes
from agent.title import words_of

_MIB = 1 << 20
_GUIDE = re.compile(r"\S+README\.md")


def check(site: Site) -> Iterator[Finding]:
    """A line for each stage and further model, and one for their memory."""
    needs = {}
    for setting, engine in site.stages.items():
        found, needs[setting] = _engine(site, setting, engine)
        yield found
    yield _memory(site, needs)


def _engine(site: Site, setting: str, wanted: EngineSettings) -> tuple[Finding, int]:
    stage = Stage(setting) if setting in {one.value for one in Stage} else Stage.LLM
    models_dir = site.settings.models_dir
    try:
        name, options = choose(stage, wanted.name, wanted.options, models_dir)
        needs = leaf(stage, name).needs_bytes(options, models_dir)
    except EngineError as exc:
        # What is missing says in its own words what brings it.
        return bad(setting, exc.message, _fix(exc.message), asked=wanted.asked_for), 0
    how = "chosen by itself" if wanted.name == AUTO else "as set"
    return ok(setting, f"{name}, {how}" + (f", needs about {needs // _MIB} MiB" if needs else "")), needs


def _fix(message: str) -> str:
    guide = _GUIDE.search(message)
    return command_in(message) or (f"less {guide[0]}" if guide else "edgevoice settings")


def _memory(site: Site, needs: dict[str, int]) -> Finding:
    profile = site.settings.profile
    loaded = {name for name in needs if name not in _on_demand(site)}
    # Of models that are not here yet, only the profile knows.
    needed = max(sum(needs[name] for name in loaded), profiles.needs(profile).memory_bytes if profile else 0)
    available, reserve = available_bytes(site.root), site.settings.memory.reserve_bytes
    if available is None:
        return ok("memory", "the system does not tell how much is available")
    who = f"the engines of profile {profile}" if profile else "engines"
    numbers = f"{available // _MIB} MiB available, {who} need about {needed // _MIB} MiB"
    if _engines_run(site):
        return ok("memory", f"{available // _MIB} MiB available beside the engines, which run already")
    if needed + reserve > available:
        asked = bool(profile) or any(site.stages[name].asked_for for name in loaded)
        message = f"{numbers} and {reserve // _MIB} MiB are to stay free; end other programs or take smaller models"
        return bad("memory", message, "ps -eo rss,pid,args --sort=-rss | head", asked=asked)
    return ok("memory", numbers)


def _on_demand(site: Site) -> set[str]:
    return {f"models.{name}" for name, model in site.settings.models.items() if model.load == "demand"}


def _engines_run(site: Site) -> bool:
    """Whether an agent of this machine has its engines loaded: what is available is without them."""
    lines = (site.text(f"/proc/{process.name}/cmdline") for process in site.file("/proc").glob("[0-9]*"))
    return any(words_of(line.encode())[:1] == ["engine"] for line in lines if line)
