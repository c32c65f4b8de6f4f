"""Conversations: which one a request belongs to, what was said in it, and what its caller has done with it."""
