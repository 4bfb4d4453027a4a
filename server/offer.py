"""The finished model, offered to every hospital that took part: the last wave of a deployed run."""

import json
from pathlib import Path

import structlog
from flwr.app import Message, MessageType
from flwr.serverapp import Grid

from server.exchange import Rejected, exchange, online_sites
from server.results import public_metrics
from server.rounds import Finished
from shared.errors import LinkError
from shared.messages import OfferReply, Order
from shared.run_folder import MANIFEST, manifest_of
from shared.study import Study

__all__ = ["offer_model", "offered_files"]

log = structlog.get_logger()
COPIED = ("study.json", "study.toml", "model.safetensors", "gene_stats.safetensors", "model-card.md")
DEADLINE_S = 300.0  # the run is finished: it waits no longer for a hospital to take the model


def offered_files(folder: Path, finished: Finished) -> dict[str, bytes]:
    """What is offered of a run folder: the model and all that is needed to use it, no row that a site keeps private."""
    files = {name: (folder / name).read_bytes() for name in COPIED if (folder / name).is_file()}
    metrics = public_metrics(json.loads((folder / "metrics.json").read_bytes()), finished)
    files["metrics.json"] = json.dumps(metrics, indent=1, allow_nan=False).encode()
    return {**files, MANIFEST: manifest_of(files)}


def offer_model(grid: Grid, study: Study, folder: Path, finished: Finished, *, poll_s: float = 0.5) -> list[str]:
    """Offer the run in `folder` to the sites that took part; those that took it. A site that does not is only logged.

    An offer larger than the study's `max_message_mb` is not made.
    """
    files = offered_files(folder, finished)
    size, most = sum(map(len, files.values())), study.federation.max_message_mb
    if size > most * 1_000_000:
        log.warning("model not offered: larger than max_message_mb", mb=round(size / 1e6, 1), max_message_mb=most)
        return []
    try:
        online = online_sites(grid)
        nodes = {site: node for site, node in online.items() if site in finished.greetings}
        wave = exchange(
            grid,
            nodes,
            dict.fromkeys(nodes, Order(study.digest, files=files)),
            f"{MessageType.QUERY}.model",
            _accepted,
            deadline_s=min(DEADLINE_S, study.federation.deadline_s),
            poll_s=poll_s,
        )
    except LinkError as exc:
        log.warning("model not offered", reason=str(exc))
        return []
    missing = sorted(finished.greetings.keys() - wave.accepted.keys())
    log.info("model offered", taken=sorted(wave.accepted), missing=missing)
    return sorted(wave.accepted)


def _accepted(site: str, message: Message) -> OfferReply:
    reply = OfferReply.read(message)
    if reply.site != site:
        raise Rejected("SITE_MISMATCH")
    return reply
