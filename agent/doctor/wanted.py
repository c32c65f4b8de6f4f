"""Which models of the catalogue the settings, or their profile, ask for."""

from __future__ import annotations

from agent import profiles
from agent.doctor.site import Site
from agent.models.catalogue import CataloguedModel, CatalogueError
from agent.models.known import known
from agent.models.verify import Presence, presence


def wanted(site: Site) -> dict[str, CataloguedModel]:
    """Those that the profile needs, or an engine's options name. UserError where the catalogue cannot be read."""
    profile = site.settings.profile
    by_profile = profiles.needs(profile).models if profile else ()
    by_options = [str(engine.options.get("model")) for engine in site.stages.values()]
    names = {*by_profile, *by_options}
    return {name: model for name, model in known(site.settings.home).items() if name in names}


def to_fetch_bytes(site: Site) -> int:
    """Room that those take which are not here [bytes]; about."""
    try:
        models = wanted(site).values()
    except CatalogueError:  # who looks at the models tells of it
        return 0
    models_dir = site.settings.models_dir
    return sum(model.size_bytes or 0 for model in models if presence(model, models_dir) is not Presence.HERE)
