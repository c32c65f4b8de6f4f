"""Requests that are refused."""


class BadRequestError(ValueError):
    """A request that cannot be answered as asked."""
