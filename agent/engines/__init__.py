"""Engines: a file a library, chosen by name, each run by `worker` in its own process, reached through `host`."""
