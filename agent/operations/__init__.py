"""What may be asked, one file an operation: which stages a request needs, or why it cannot be done."""

from __future__ import annotations

from collections.abc import Callable

from agent.contract.messages import Request
from agent.contract.terms import Operation, Stage
from agent.operations import chat, speak, transcribe

PLANS: dict[Operation, Callable[[Request, bytes | None], frozenset[Stage]]] = {
    Operation.CHAT: chat.plan,
    Operation.TRANSCRIBE: transcribe.plan,
    Operation.SPEAK: speak.plan,
}
"""Operation → the stages that a request and its clip need. Raises ContractError(bad_request)."""
