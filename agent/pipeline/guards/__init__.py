"""What ends an answer that its model does not end well: stop strings, the other side's turn, a loop."""

from agent.pipeline.guards.guard import Ending, Guard, GuardSettings

__all__ = ["Ending", "Guard", "GuardSettings"]
