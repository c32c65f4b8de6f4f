"""The templates at hand: read from the journal once, then kept in memory, and written down before they change there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from agent.contract.catalogue import template_name
from agent.contract.errors import ContractError, ErrorCode
from agent.contract.limits import MAX_TEMPLATE_BYTES
from agent.contract.templates import Template
from agent.journal.templates import SavedTemplate, Templates
from agent.templates.versions import SHIPPED, History, Version, before_latest, bounded

logger = logging.getLogger(__name__)


class Catalogue:
    """Name → template. Until the journal could be read once, everything here raises StorageError."""

    def __init__(self, journal: Templates, shipped: Mapping[str, Template]) -> None:
        self._journal = journal
        self._shipped = shipped
        self._histories: Mapping[str, History] | None = None
        self._changing = asyncio.Lock()
        self.on_change: Callable[[str], None] = lambda _: None
        """Called with the name of a template that is another one from now on."""

    @property
    def current(self) -> dict[str, Template]:
        """Every template that requests may name."""
        latest = {name: history[-1].template for name, history in sorted(self._known().items())}
        return {name: template for name, template in latest.items() if template}

    def find(self, name: str) -> Template:
        """The template that a request names. ContractError(not_found), or StorageError."""
        history = self.history(name)
        if history and history[-1].template:
            return history[-1].template
        raise self.unknown(name)

    def unknown(self, name: str) -> ContractError:
        """What is said to who names a template that there is not: which there are."""
        known = ", ".join(self.current) or "none"
        return ContractError(ErrorCode.NOT_FOUND, f"no template {name!r}; there are {known}", field="template")

    def history(self, name: str) -> History:
        """All versions that there are of one; none where it never was."""
        return self._known().get(template_name(name), ())

    async def put(self, name: str, template: Template) -> None:
        """Saves a new version, unless that is what the latest one is.

        ContractError: template_invalid, or payload_too_large.
        """
        template.check()
        body = template.encode()
        if len(body) > MAX_TEMPLATE_BYTES:
            message = f"the template has {len(body)} bytes; {MAX_TEMPLATE_BYTES} are the most"
            raise ContractError(
                ErrorCode.PAYLOAD_TOO_LARGE, message, field="template", limit=MAX_TEMPLATE_BYTES, actual=len(body)
            )
        async with self._changing:
            latest = self.history(name)[-1:]
            if [version.body for version in latest] != [body]:
                await self._add(template_name(name), template)

    async def delete(self, name: str) -> None:
        """Takes it away, by a new version without a template. ContractError(not_found)."""
        async with self._changing:
            self.find(name)
            await self._add(template_name(name), None)

    async def undo(self, name: str) -> None:
        """Drops the latest version. ContractError(not_found) where there is none, or what was before is forgotten."""
        async with self._changing:
            history = self.history(name)
            if not history:
                raise ContractError(ErrorCode.NOT_FOUND, f"there never was a template {name!r}", field="name")
            name, before = template_name(name), before_latest(history)
            await self._journal.change(drop=[(name, history[-1].number)])
            others = {other: known for other, known in self._known().items() if other != name}
            self._histories = {**others, name: before} if before else others
            self.on_change(name)

    def mend(self) -> None:
        """Writes down again what is known: the journal may have been begun anew."""
        saved = [
            SavedTemplate(name, version.number, version.body, saved_at)
            for name, history in (self._histories or {}).items()
            for version in history
            if (saved_at := version.saved_at) is not None
        ]
        if saved:
            self._journal.change(add=saved)

    async def _add(self, name: str, template: Template | None) -> None:
        before = self._known()
        history = before.get(name, ())
        number = history[-1].number + 1 if history else SHIPPED + 1
        saved = SavedTemplate(name, number, template.encode() if template else None, time.time())
        latest = Version(number, template, saved.saved_at, len(saved.body or b""))
        after = bounded({**before, name: (*history, latest)})
        await self._journal.change(add=[saved], drop=_numbers(before) - _numbers(after))
        self._histories = after
        self.on_change(name)

    def _known(self) -> Mapping[str, History]:
        if self._histories is None:
            known: dict[str, History] = {name: (Version(SHIPPED, each),) for name, each in self._shipped.items()}
            for saved in self._journal.all():
                if version := _read(saved):
                    known[saved.name] = (*known.get(saved.name, ()), version)
            self._histories = known
        return self._histories


def _numbers(histories: Mapping[str, History]) -> set[tuple[str, int]]:
    return {(name, each.number) for name, history in histories.items() for each in history}


def _read(saved: SavedTemplate) -> Version | None:
    try:
        template = Template.decode(saved.body) if saved.body is not None else None
    except ContractError:
        logger.exception("version %d of the template %s in the journal cannot be read", saved.version, saved.name)
        return None
    return Version(saved.version, template, saved.saved_at, len(saved.body or b""))
