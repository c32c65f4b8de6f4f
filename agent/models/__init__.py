"""Model files: which there are to be had, and how they get here, checked."""
