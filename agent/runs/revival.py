"""The runs of an earlier process: which are performed again, and which end as they are."""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent.contract.errors import ContractError, ErrorCode
from agent.errors import AgentError, internal
from agent.journal.entries import Admitted, Unanswered
from agent.pipeline.run import Run
from agent.pipeline.telling import Teller

logger = logging.getLogger(__name__)

_MAX_ATTEMPTS = 3
"""A request that was begun so often, and never ended, is what ends the agent."""


def revived(entry: Unanswered, make: Callable[[Admitted, float], Run]) -> tuple[Run, ContractError | None]:
    """The run of `entry`, and why it is not performed, if it is not; `make` makes one of its age [s]."""
    logger.info("resuming %s", entry.admitted.key)
    try:
        run = make(entry.admitted, entry.age_s)
    except ContractError as exc:
        error = exc
    except Exception:
        logger.exception("%s cannot be resumed", entry.admitted.key)
        error = internal()
    else:
        return run, _quarantined(entry) if entry.attempts >= _MAX_ATTEMPTS else None
    return Run(entry.admitted, frozenset(), Teller(entry.admitted.key.id, None, age_s=entry.age_s)), error


def _quarantined(entry: Unanswered) -> AgentError:
    logger.error("%s was begun %d times and never ended: it is not begun again", entry.admitted.key, entry.attempts)
    return AgentError(
        ErrorCode.INTERNAL, f"begun {entry.attempts} times, and each time the agent ended", reason="quarantined"
    )
