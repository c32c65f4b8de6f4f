"""`/v1/templates…`: the agent's prompt templates, for everybody to read and for operators to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi import Request as HttpRequest
from fastapi.responses import JSONResponse

from agent.contract.admin import AdminRequest
from agent.contract.catalogue import Rendered, Rendering, StoredTemplate, TemplateInfo, TemplateList, template_name
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.templates import Template
from agent.contract.terms import ID_PATTERN, AdminOperation
from agent.contract.wire import WireModel
from bridge.access.access import CallerDep, check_access
from bridge.agent import Agent
from bridge.documentation import RENDERING_REQUEST, TEMPLATE_REQUEST
from bridge.intake import read_json
from bridge.openapi import PROBLEMS
from bridge.operators import administer, check_operator
from bridge.state import AgentDep, SettingsDep

router = APIRouter(prefix="/v1/templates", tags=["templates"], dependencies=[Depends(check_access)], responses=PROBLEMS)
TemplateName = Annotated[str, Path(pattern=ID_PATTERN, description="As requests name it.")]
Version = Annotated[int | None, Query(ge=0, description="Of its versions this one; for operators. 0: as shipped.")]
_FOR_OPERATORS = [Depends(check_operator)]


@router.get("", summary="Which prompt templates are there?", response_model=TemplateList)
async def list_templates(agent: AgentDep) -> Response:
    """Each with the keys that must be given with a request."""
    told = [TemplateInfo(name=name, needs=template.needs) for name, template in _known(agent).items()]
    return _in_json(TemplateList(templates=tuple(told)))


@router.get("/{name}", summary="What is in a template?", response_model=StoredTemplate)
async def get(
    name: TemplateName, agent: AgentDep, settings: SettingsDep, caller: CallerDep, version: Version = None
) -> Response:
    """As it is, or was in a `version`; an operator's answers to a change tell which there are."""
    if version is not None:
        await check_operator(settings, caller)
        return await administer(agent, AdminOperation.TEMPLATES_GET, AdminRequest(name=name, version=version))
    template = _find(agent, name)
    return _in_json(StoredTemplate(name=template_name(name), needs=template.needs, template=template))


@router.put(
    "/{name}",
    summary="Save a template",
    response_model=StoredTemplate,
    dependencies=_FOR_OPERATORS,
    openapi_extra=TEMPLATE_REQUEST,
)
async def put(name: TemplateName, http: HttpRequest, agent: AgentDep) -> Response:
    """As a new version; 400 where prompt and keys do not go together."""
    template = Template.decode(await read_json(http))
    return await administer(agent, AdminOperation.TEMPLATES_PUT, AdminRequest(name=name, template=template))


@router.delete("/{name}", summary="Take a template away", response_model=StoredTemplate, dependencies=_FOR_OPERATORS)
async def delete(name: TemplateName, agent: AgentDep) -> Response:
    """By a new version without one, which can be undone."""
    return await administer(agent, AdminOperation.TEMPLATES_DELETE, AdminRequest(name=name))


@router.post(
    "/{name}/undo", summary="Drop the latest version", response_model=StoredTemplate, dependencies=_FOR_OPERATORS
)
async def undo(name: TemplateName, agent: AgentDep) -> Response:
    """The template is as it was before."""
    return await administer(agent, AdminOperation.TEMPLATES_UNDO, AdminRequest(name=name))


@router.post(
    "/{name}/render",
    summary="What would the model be asked?",
    response_model=Rendered,
    openapi_extra=RENDERING_REQUEST,
)
async def render(name: TemplateName, http: HttpRequest, agent: AgentDep) -> Response:
    """The question in its template; nobody is asked it."""
    given = Rendering.decode(await read_json(http))
    return _in_json(Rendered.of(_find(agent, name), given.text, given.vars))


def _find(agent: Agent, name: str) -> Template:
    known = _known(agent)
    if template := known.get(template_name(name)):
        return template
    raise ContractError(
        ErrorCode.NOT_FOUND, f"no template {name!r}; there are {', '.join(known) or 'none'}", field="name"
    )


def _known(agent: Agent) -> Mapping[str, Template]:
    if agent.info:  # which it says after those
        return agent.templates
    message = "the agent has not said yet which templates it has"
    raise ContractError(ErrorCode.AGENT_OFFLINE, message, retry_after_ms=2_000)


def _in_json(told: WireModel) -> Response:
    return JSONResponse(told.model_dump(mode="json", exclude_none=True))
