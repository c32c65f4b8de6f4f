"""What was asked and answered, kept for who asked for that: a line of JSON for each request that has its outcome."""
