"""The status for people: a line on the agent, its engines, our processes, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from agent.contract.presence import Info, State
from agent.contract.terms import Phase, Stage
from agent.status.announced import Announced
from agent.status.processes import Process

_MIB = 1 << 20
_WELL = {Phase.READY: "green", Phase.STARTING: "yellow", Phase.DRAINING: "yellow", Phase.DEGRADED: "bold red"}


def shown(
    agent: str, heard: Announced, processes: Sequence[Process], gpu: Mapping[int, int]
) -> Iterator[RenderableType]:
    """All of it, in the order of reading."""
    yield _line(agent, heard)
    if heard.online and heard.info and heard.state:
        yield _engines(heard.info, heard.state)
    if processes:
        yield _processes(processes, gpu)
    else:
        yield Text("No process of EdgeVoice, and no Mosquitto, is to be seen on this machine.")
    if advice := advice_on(agent, heard):
        yield Text(advice, style="cyan")


def advice_on(agent: str, heard: Announced) -> str | None:
    """What to do; None where nothing is to be done."""
    if heard.trouble:
        return f"{heard.trouble}: start the broker, or say where it is (--host, --port, --user, --password-file)"
    if heard.presence is None:
        return f"the broker never heard of an agent {agent!r}: start it (`edgevoice agent`), or name another by --agent"
    if not heard.online:
        return f"the agent {agent!r} is gone: start it (`edgevoice agent`); its log says why it ended"
    if heard.state and heard.state.faults:
        return f"faults: {', '.join(heard.state.faults)}; `edgevoice doctor` and the agent's log tell more"
    return None


def _line(agent: str, heard: Announced) -> Text:
    state = heard.state
    if not heard.online:
        how = "not to be heard" if heard.presence is None else "offline"
        return Text.assemble((agent, "bold"), " is ", (how, "bold red"))
    line = Text.assemble((agent, "bold"), " is ", ("online", "green"))
    if state:
        probe = f", probe {state.probe_ms:.1f} ms" if state.probe_ms is not None else ""
        line.append(": ")
        line.append(state.phase.value, _WELL[state.phase])
        line.append(f", {state.running} running, {state.queued} of {state.max_queued} queued{probe}")
    return line.append(f" (version {heard.info.version})") if heard.info else line


def _engines(info: Info, state: State) -> Table:
    table = _table("stage", "engine", "device", "state", right=("busy", "restarts"))
    for stage in filter(info.engines.get, Stage):
        engine, process = info.engines[stage], state.engines.get(stage)
        how = "up" if process and process.ready else "loading"
        numbers = (str(process.busy), str(process.restarts)) if process else ("", "")
        table.add_row(stage.value, engine.label, engine.device or "", how, *numbers)
    return table


def _processes(processes: Sequence[Process], gpu: Mapping[int, int]) -> Table:
    table = _table("process", right=("pid", "memory", *(("GPU",) if gpu else ()), "CPU", "up for"))
    for each in processes:
        on_gpu = (_mib(gpu[each.pid]) if each.pid in gpu else "",) if gpu else ()
        times = (_duration(each.cpu_s), _duration(each.uptime_s))
        table.add_row(each.what, str(each.pid), _mib(each.resident_bytes), *on_gpu, *times)
    return table


def _table(*left: str, right: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in left:
        table.add_column(column, no_wrap=True)
    for column in right:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _mib(size: int) -> str:
    return f"{size / _MIB:,.0f} MiB"


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
