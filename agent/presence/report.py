"""What the agent says of itself, gathered from its parts."""

from __future__ import annotations

from agent import __version__
from agent.contract.presence import Info, State
from agent.contract.terms import AudioFormat, Operation, Phase, ReplyMode, Stage
from agent.engines.engine_set import EngineSet
from agent.journal.journal import Journal
from agent.memory import resident_bytes
from agent.mqtt.client import MqttClient
from agent.pipeline.admission import Admission
from agent.presence.probe import Probe
from agent.settings import Settings


class Report:
    """What the agent is and how it fares, whenever it is asked."""

    def __init__(
        self,
        settings: Settings,
        *,
        engines: EngineSet,
        admission: Admission,
        journal: Journal,
        mqtt: MqttClient,
        probe: Probe,
    ) -> None:
        self._settings = settings
        self._engines = engines
        self._admission = admission
        self._journal = journal
        self._mqtt = mqtt
        self._probe = probe
        self.phase = Phase.STARTING
        """Where the agent is in its life; `state` makes `degraded` of `ready` where there are faults."""

    def info(self) -> Info:
        """For the retained `info`."""
        return Info(
            agent=self._settings.agent,
            version=__version__,
            operations=[operation.value for operation in Operation],
            reply_modes=[mode.value for mode in ReplyMode],
            audio_formats=["wav"],
            speech_formats=tuple(kind.value for kind in AudioFormat),
            limits=self._settings.limits,
            engines=self._engines.info,
            models=self._engines.models.names,
            personas=tuple(self._settings.personas),
        )

    def state(self) -> State:
        """For the retained `state`."""
        faults = self._faults()
        degraded = self.phase is Phase.READY and faults
        draining = self.phase is Phase.DRAINING
        return State(
            phase=Phase.DEGRADED if degraded else self.phase,
            accepting=not draining and not self._admission.full and not self._journal.broken,
            queued=self._admission.queued,
            running=self._admission.running,
            max_queued=self._settings.limits.max_queued,
            queued_bytes=self._admission.queued_bytes,
            faults=faults,
            probe_ms=self._probe.round_trip_ms,
            memory_bytes=resident_bytes(),
            engines=self._engines.state,
        )

    def status(self) -> str:
        """One line for who asks the service manager."""
        state = self.state()
        broker = "" if self._mqtt.connected else ", no broker"
        return f"{state.phase.value}: {state.running} running, {state.queued} queued{broker}"

    def _faults(self) -> tuple[str, ...]:
        engines = self._engines.state
        faults = [stage.value for stage in Stage if stage not in engines or not engines[stage].ready]
        if self._journal.broken:
            faults.append("journal")
        if self._probe.deaf:
            faults.append("probe")
        return tuple(faults)
