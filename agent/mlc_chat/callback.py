"""What a program has done with an answer while it is being written."""

from __future__ import annotations

from queue import Queue

from typing_extensions import Self


class DeltaCallback:
    """Base of callbacks that want what is new; `ChatModule.generate` calls it with all there is so far."""

    callback_interval = 2
    """Tokens from one call to the next."""

    def __init__(self) -> None:
        self.curr_message = ""
        """What was told."""

    def __call__(self, message: str = "", stopped: bool = False) -> None:
        """Takes the answer so far; or, with `stopped`, that there is no more."""
        if stopped:
            self.stopped_callback()
            self.curr_message = ""
            return
        delta = message[len(self.curr_message) :]
        self.curr_message = message
        self.delta_callback(delta)

    def delta_callback(self, delta_message: str) -> None:
        """Takes what is new."""
        raise NotImplementedError

    def stopped_callback(self) -> None:
        """The answer is over, or failed; does nothing unless a subclass does."""


class StreamToStdout(DeltaCallback):
    """Prints an answer as it comes, and a line's end behind it."""

    def __init__(self, callback_interval: int = 2) -> None:
        super().__init__()
        self.callback_interval = callback_interval

    def delta_callback(self, delta_message: str) -> None:
        """Shows it at once."""
        print(delta_message, end="", flush=True)

    def stopped_callback(self) -> None:
        """Ends the line."""
        print(flush=True)


class StreamIterator(DeltaCallback):
    """An iterator over the pieces of one answer, for another thread than the one that generates it."""

    def __init__(self, callback_interval: int = 2, timeout: float | None = None) -> None:
        """`timeout`: longest wait for a piece [s], queue.Empty past it; None waits for ever."""
        super().__init__()
        self.callback_interval = callback_interval
        self.timeout = timeout
        self.delta_messages: Queue[str | None] = Queue()

    def delta_callback(self, delta_message: str) -> None:
        """Keeps it for whoever iterates."""
        self.delta_messages.put(delta_message)

    def stopped_callback(self) -> None:
        """Ends the iteration."""
        self.delta_messages.put(None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if (delta := self.delta_messages.get(timeout=self.timeout)) is None:
            raise StopIteration
        return delta
