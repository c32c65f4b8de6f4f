"""Asking a language model, in the few words that tests need."""

from agent.contract.messages import Message, Sampling
from agent.contract.terms import Role


def chat(llm, *said, **sampling):
    """The answer, in pieces, to a conversation whose turns are `said`, the first the user's."""
    roles = (Role.USER, Role.ASSISTANT)
    return llm.chat(
        [Message(role=roles[turn % 2], content=content) for turn, content in enumerate(said)], Sampling(**sampling)
    )


async def answer(llm, *said, **sampling):
    """The same, waited for."""
    return [delta async for delta in chat(llm, *said, **sampling)]


def text_of(deltas):
    """What the pieces say."""
    return "".join(delta.text for delta in deltas)
