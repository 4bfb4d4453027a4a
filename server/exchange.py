"""One wave: an order to every site, replies until all are in or the deadline is over."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

import httpx
import structlog
from flwr.app import Message
from flwr.serverapp import Grid

from shared.errors import LinkError
from shared.messages import CODES, Malformed, Order

__all__ = ["NOT_SENT", "Rejected", "Wave", "exchange", "online_sites"]

T = TypeVar("T")
log = structlog.get_logger()
NOT_SENT = ("the SuperLink did not take the order", "not online")
"""Reasons of a site whose order never left the coordinator."""
GRACE_S = 60.0  # an order outlives its deadline by this: for the last look, and for clocks that disagree
RETRIES = 5  # a busy SuperLink answers 500 ("database is locked"), which Flower does not retry


class Rejected(ValueError):
    """A reply that will not be used; the text is the reason in the round record."""


@dataclass
class Wave(Generic[T]):
    """What came back, by site."""

    accepted: dict[str, T] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)  # site -> why its reply is not here


def online_sites(grid: Grid) -> dict[str, int]:
    """Site -> node id of every node that is online, sorted by site. Names come from the coordinator's registry."""
    nodes = _retried(lambda: list(grid.get_nodes()))
    return {node.name: node.node_id for node in sorted(nodes, key=lambda n: n.name) if node.status == "online"}


def exchange(
    grid: Grid,
    nodes: Mapping[str, int],
    orders: Mapping[str, Order],
    message_type: str,
    accept: Callable[[str, Message], T],
    *,
    deadline_s: float,
    poll_s: float = 0.5,
) -> Wave[T]:
    """Send one order to each site and collect the replies one at a time.

    Parameters
    ----------
    accept
        Parses and checks one reply; raises Rejected or Malformed to leave it out.
    deadline_s
        After this many seconds the sites that have not answered are missing.
    """
    wave: Wave[T] = Wave()
    pending = _send(grid, nodes, orders, message_type, wave, ttl=deadline_s + GRACE_S)
    until = time.monotonic() + deadline_s
    while pending:
        answered = 0
        for message_id, site in list(pending.items()):
            # one at a time, so that no more than one reply is held besides those already accepted
            replies = _retried(partial(_pull, grid, message_id))
            if not replies:
                continue
            answered += 1
            del pending[message_id]
            _take(wave, site, replies[0], accept)
        if time.monotonic() > until:
            wave.missing |= dict.fromkeys(pending.values(), "no reply before the deadline")
            break
        if pending and not answered:
            time.sleep(poll_s)
    for site, reason in sorted(wave.missing.items()):
        log.warning("site left out of the wave", site=site, wave=message_type, reason=reason)
    return wave


def _send(
    grid: Grid, nodes: Mapping[str, int], orders: Mapping[str, Order], message_type: str, wave: Wave[T], *, ttl: float
) -> dict[str, str]:
    """Push all orders; message id -> site. Messages with equal content share one record; they expire after ttl s."""
    contents = {id(order): order.content() for order in orders.values()}
    pending: dict[str, str] = {}
    for site, order in orders.items():
        message = Message(contents[id(order)], nodes[site], message_type, ttl=ttl, group_id=str(order.round))
        ids = _retried(partial(_push, grid, message))
        if ids and ids[0]:
            pending[ids[0]] = site
        else:  # too large, or malformed: Flower logs it and returns nothing
            wave.missing[site] = NOT_SENT[0]
    return pending


def _take(wave: Wave[T], site: str, reply: Message, accept: Callable[[str, Message], T]) -> None:
    if reply.has_error():
        wave.missing[site] = reply.error.reason if reply.error.reason in CODES else "the site or its link failed"
        return
    try:
        wave.accepted[site] = accept(site, reply)
    except (Rejected, Malformed) as exc:
        wave.missing[site] = str(exc)


def _pull(grid: Grid, message_id: str) -> list[Message]:
    return list(grid.pull_messages([message_id]))


def _push(grid: Grid, message: Message) -> list[str]:
    return list(grid.push_messages([message]))


def _retried(call: Callable[[], T]) -> T:
    """Call again after a server error, with growing pauses; LinkError when it stays."""
    for attempt in range(RETRIES):
        try:
            return call()
        except (httpx.HTTPStatusError, httpx.TransportError) as exc:
            if isinstance(exc, httpx.HTTPStatusError) and exc.response.status_code < 500:
                raise LinkError(f"expected the SuperLink to take a request, got {exc.response.status_code}") from exc
            log.warning("SuperLink did not answer; trying again", attempt=attempt + 1)
            time.sleep(2**attempt)
    raise LinkError(f"expected an answer of the SuperLink, got none in {RETRIES} attempts; see its log")
