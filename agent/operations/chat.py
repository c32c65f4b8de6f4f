"""`chat`: a question, typed or spoken, gets an answer, read or heard."""

from __future__ import annotations

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Request
from agent.contract.terms import Mode, Stage


def plan(request: Request, clip: bytes | None) -> frozenset[Stage]:
    """STT where it was spoken, LLM, TTS where it is to be heard."""
    asked = {"text": request.text, "audio": clip, "messages": request.messages}
    given = [name for name, value in asked.items() if value is not None]
    if len(given) != 1:
        found = " and ".join(given) if given else "none of them"
        raise ContractError(
            ErrorCode.BAD_REQUEST, f"exactly one of text, audio and messages is needed; here is {found}", field="text"
        )
    if request.mode is Mode.RAW:
        _without(request, ("messages", "system"), "mode raw gives the model the question as it is")
    if request.messages is not None:
        _without(request, ("template", "vars"), "a question in text or audio goes into a template, messages do not")
    stages = {Stage.LLM}
    if given == ["audio"]:
        stages.add(Stage.STT)
    if request.reply_mode.heard:
        stages.add(Stage.TTS)
    return frozenset(stages)


def _without(request: Request, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if getattr(request, name):
            raise ContractError(ErrorCode.BAD_REQUEST, f"{why}; leave out {name}", field=name)
