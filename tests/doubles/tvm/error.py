"""Errors that come out of C++."""


class InternalError(RuntimeError):
    """A check in C++ that did not hold."""
