"""What Prometheus may read of the agent: counted where runs end, looked up when it asks."""
