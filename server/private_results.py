"""What a run with privacy on has cost each site, from the round records: sites tell how often they charged it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from server.exchange import NOT_SENT
from shared.messages import CODES, EvaluateReply
from shared.privacy.accounting import epsilon
from shared.privacy.events import Event
from shared.study import Study

__all__ = ["NOT_PRIVATE", "charges_of", "privacy_of_sites"]

NOT_PRIVATE = {"mode": "off", "epsilon": None, "epsilon_replace_one": None, "delta": None}


def charges_of(rounds: Sequence[Mapping[str, Any]], answered: Mapping[str, int] | None = None) -> dict[str, int]:
    """Site -> how often the run was charged there: at least once a round, again where a round was trained again.

    A site charges before it trains, so that one which never answered again may have: each such round counts as charged.

    Parameters
    ----------
    rounds
        Records of all rounds, in their order.
    answered
        Site -> what it told with its closing evaluation, after all rounds.
    """
    told: dict[str, int] = {}
    silent: Counter[str] = Counter()
    for record in rounds:
        for site, reply in record["sites"].items():
            told[site] = max(told.get(site, 0), int(reply["charges"]))
            silent.pop(site, None)  # its own count holds the rounds before
        silent.update(site for site, why in record.get("missing", {}).items() if _may_have_charged(why))
    for site, charges in (answered or {}).items():
        told[site] = max(told.get(site, 0), charges)
        silent.pop(site, None)
    return {site: told.get(site, 0) + silent[site] for site in told.keys() | silent.keys()}


def _may_have_charged(why: str) -> bool:
    """Whether an order that was not answered well may have reached the site and passed its checks."""
    return why not in NOT_SENT and why not in CODES.keys() - {"CLIENT_FAILED"}


def privacy_of_sites(
    study: Study,
    sites: Iterable[str],
    rounds: Sequence[Mapping[str, Any]],
    evaluation: Mapping[str, EvaluateReply] | None = None,
) -> dict[str, Any]:
    """The section `privacy` of metrics.json, site by site.

    Charges are the most that a site has told, in a round or with its closing `evaluation`, and one for every later
    round that it left unanswered: an update that came too late was charged all the same.

    Noise from a known seed keeps nothing: its mode is "test" and it has no epsilon.
    """
    terms = study.terms
    if terms is None:
        return dict.fromkeys(sorted(sites), NOT_PRIVATE)
    charged = charges_of(rounds, {site: reply.charges for site, reply in (evaluation or {}).items()})
    return {site: _site(terms.round, terms.delta, terms.formal, charged.get(site, 0)) for site in sorted(sites)}


def _site(round_: Event, delta: float, formal: bool, charges: int) -> dict[str, Any]:
    spent = [Event(round_.sample_rate, round_.sigma, round_.steps * charges)] if charges else []
    told = {"charges": charges, "sigma": round_.sigma, "sample_rate": round_.sample_rate, "steps": round_.steps}
    if not formal:
        return {**NOT_PRIVATE, "mode": "test", **told}
    return {
        "mode": "local",
        "epsilon": epsilon(spent, delta),
        "epsilon_replace_one": epsilon(spent, delta, "replace_one"),
        "delta": delta,
        **told,
    }
