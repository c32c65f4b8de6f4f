"""From a request that was taken on to its one outcome, across the agent's own end."""
