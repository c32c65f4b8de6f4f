"""What operators may do with prompt templates: one method an operation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from agent.contract.admin import AdminRequest
from agent.contract.catalogue import Rendered, StoredTemplate, TemplateInfo, TemplateList, template_name
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.templates import Template
from agent.contract.terms import AdminOperation
from agent.contract.wire import WireModel
from agent.templates.catalogue import Catalogue
from agent.templates.versions import Version


class TemplateCalls:
    """The catalogue, as operators see and change it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    @property
    def actions(self) -> Mapping[AdminOperation, Callable[[AdminRequest], Awaitable[WireModel]]]:
        """Operation → what does it."""
        return {
            AdminOperation.TEMPLATES_LIST: self.list_all,
            AdminOperation.TEMPLATES_GET: self.get,
            AdminOperation.TEMPLATES_PUT: self.put,
            AdminOperation.TEMPLATES_DELETE: self.delete,
            AdminOperation.TEMPLATES_UNDO: self.undo,
            AdminOperation.TEMPLATES_RENDER: self.render,
        }

    async def list_all(self, _: AdminRequest) -> TemplateList:
        """Those that requests may name."""
        told = [_info(name, self._catalogue.history(name)[-1]) for name in self._catalogue.current]
        return TemplateList(templates=tuple(told))

    async def get(self, asked: AdminRequest) -> StoredTemplate:
        """One of them, as it is or once was."""
        name = _name(asked)
        version, _ = self._version(name, asked.version)
        return self._told(name, version)

    async def put(self, asked: AdminRequest) -> StoredTemplate:
        """Saves what is valid."""
        name = _name(asked)
        await self._catalogue.put(name, _template(asked))
        return self._told(name)

    async def delete(self, asked: AdminRequest) -> StoredTemplate:
        """Takes it away; it can be undone."""
        name = _name(asked)
        await self._catalogue.delete(name)
        return self._told(name)

    async def undo(self, asked: AdminRequest) -> StoredTemplate:
        """It is as it was a version before."""
        name = _name(asked)
        await self._catalogue.undo(name)
        return self._told(name)

    async def render(self, asked: AdminRequest) -> Rendered:
        """What would come of a saved one, or of one that comes with the call."""
        if (template := asked.template) is None:
            _, template = self._version(_name(asked), asked.version)
        return Rendered.of(template, asked.text, asked.vars)

    def _version(self, name: str, number: int | None) -> tuple[Version, Template]:
        """The latest, or that of the `number`. ContractError(not_found) where there is none, or no template in it."""
        history = self._catalogue.history(name)
        if not history:
            raise self._catalogue.unknown(name)
        found = next((each for each in reversed(history) if number in {None, each.number}), None)
        if found is None:
            known = ", ".join(str(each.number) for each in history)
            message = f"no version {number} of {name}; there are {known}"
            raise ContractError(ErrorCode.NOT_FOUND, message, field="version")
        if found.template is None:
            message = f"version {found.number} took {name} away; ask for another one, or undo it"
            raise ContractError(ErrorCode.NOT_FOUND, message, field="name")
        return found, found.template

    def _told(self, name: str, version: Version | None = None) -> StoredTemplate:
        """`name` in a version, else as it is now; without a template where it is none any more."""
        history = self._catalogue.history(name)
        latest = version or (history[-1] if history else None)
        info = _info(name, latest) if latest else TemplateInfo(name=name)
        versions = tuple(each.number for each in history)
        return StoredTemplate(**dict(info), versions=versions, template=latest.template if latest else None)


def _info(name: str, version: Version) -> TemplateInfo:
    needs = version.template.needs if version.template else ()
    return TemplateInfo(name=name, version=version.number, saved_at=version.saved_at, needs=needs)


def _name(asked: AdminRequest) -> str:
    if asked.name is None:
        raise ContractError(ErrorCode.BAD_REQUEST, "name the template in `name`", field="name")
    return template_name(asked.name)


def _template(asked: AdminRequest) -> Template:
    if asked.template is None:
        raise ContractError(ErrorCode.BAD_REQUEST, "bring the template in `template`", field="template")
    return asked.template
