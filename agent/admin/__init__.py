"""What operators may ask: who may, and what is done about it."""
