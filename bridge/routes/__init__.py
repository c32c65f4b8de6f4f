"""What the bridge answers, one file a family of endpoints."""
