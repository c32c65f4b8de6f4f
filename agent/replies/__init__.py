"""The way back: events and replies, within what the broker takes, until it has them."""
