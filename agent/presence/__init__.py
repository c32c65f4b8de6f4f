"""How others see the agent: what it says of itself, and whether it can be reached under its name."""
