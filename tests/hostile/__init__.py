"""What one would send to break it, on one set of real processes."""
