"""What `edgevoice demo` asks, over which ways, and how it shows the answers."""
