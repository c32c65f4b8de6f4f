"""The HTTP bridge: the agent's contract for callers that speak HTTP, and nothing of the agent itself."""
