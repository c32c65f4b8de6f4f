"""Clips that are still arriving: put together piece by piece, listened to meanwhile, taken on once they are whole."""
