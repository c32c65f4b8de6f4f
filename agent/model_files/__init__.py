"""What model files look like on disk: found, and read far enough to know them whole, before any engine loads them."""
