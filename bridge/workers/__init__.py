"""Several processes that are one bridge: who starts them, and what they know of each other."""
