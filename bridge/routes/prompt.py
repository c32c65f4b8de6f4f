"""`POST /prompt`: a template that brings its question, rendered and asked."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi import Request as HttpRequest

from agent.contract.errors import ContractError, ErrorCode
from agent.contract.messages import Request
from agent.contract.templates import QUESTION, Template, invalid
from agent.contract.terms import Mode, Status
from bridge.access.access import check_access
from bridge.answers import in_json
from bridge.documentation import PROMPT_REQUEST, PROMPT_RESPONSE
from bridge.errors import failed
from bridge.intake import deadline_of, key_of, read_json
from bridge.openapi import PROBLEMS
from bridge.state import opened

PROMPT_PATH = "/prompt"
AskedAs = Annotated[Mode, Query(description="`chat`: in the form of a conversation, as the model was taught.")]

router = APIRouter(tags=["templates"], dependencies=[Depends(check_access)])


@router.post(
    PROMPT_PATH,
    summary="Ask by a prompt template",
    response_model=None,
    responses={200: PROMPT_RESPONSE, **PROBLEMS},
    openapi_extra=PROMPT_REQUEST,
)
async def prompt(http: HttpRequest, mode: AskedAs = Mode.RAW) -> Response:
    """The prompt reaches the model as it is, with the template's `config`; the answer is that of `/v1/ask`."""
    bridge, key = opened(http), key_of(http)
    template = Template.decode(await read_json(http))
    request = Request(
        id=key.id, text=_prompt(template), mode=mode, params=template.config, deadline_ms=deadline_of(bridge)
    )
    reply = await bridge["waiting"].ask(request, key, http.receive)
    return in_json(reply) if reply.status is Status.OK else failed(reply)


def _prompt(template: Template) -> str:
    question = template.values.get(QUESTION)
    if question is None:
        raise invalid(f"the question belongs into the key `{QUESTION}`", missing=[QUESTION])
    rendered = template.render(question, {})
    if not rendered.strip():
        raise ContractError(
            ErrorCode.BAD_REQUEST, f"the question is empty; it belongs into `{QUESTION}`", field=QUESTION
        )
    return rendered
