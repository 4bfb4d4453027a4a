"""Which node of the SuperLink is which site: the coordinator's list of keys, told to the SuperLink once."""

import json
from pathlib import Path

from server.coordinator import SuperLink
from shared.logs import get_logger

__all__ = ["forget_sites", "register_sites", "site_states"]

log = get_logger()


def register_sites(link: SuperLink) -> dict[str, str]:
    """Let every site of the coordinator's folder connect under its own name; site -> node id.

    What the SuperLink has been told is remembered beside its database, for as long as that database lives.
    """
    known = _known(link)
    for site in link.coordinator.sites:
        if site not in known:
            known[site] = link.register(site)
            _file(link).write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
            log.info("site registered", site=site)
    return known


def forget_sites(link: SuperLink) -> None:
    """Forget what another database was told; called before a SuperLink starts with a new one."""
    _file(link).unlink(missing_ok=True)


def site_states(link: SuperLink) -> dict[str, str]:
    """Site -> "online", "offline", "registered" (never connected), or "unknown" (registered by other means)."""
    states = link.nodes()
    return {site: states.get(node, "unknown") for site, node in _known(link).items()}


def _known(link: SuperLink) -> dict[str, str]:
    path = _file(link)
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return known


def _file(link: SuperLink) -> Path:
    return link.folder / "flower" / "nodes.json"
