"""What runs on this machine, and what the agent says of itself."""
