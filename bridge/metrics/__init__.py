"""What Prometheus may read of the bridge: counted at each worker, told by any of them for all."""
