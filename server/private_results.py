"""What a run with privacy on has cost each site, from the round records: sites tell how often they charged it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.messages import EvaluateReply
from shared.privacy.accounting import epsilon
from shared.privacy.events import Event
from shared.study import Study

__all__ = ["NOT_PRIVATE", "charges_of", "privacy_of_sites"]

NOT_PRIVATE = {"mode": "off", "epsilon": None, "epsilon_replace_one": None, "delta": None}


def charges_of(rounds: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Site -> how often the run was charged there: at least once a round, again where a round was trained again."""
    found: dict[str, int] = {}
    for record in rounds:
        for site, told in record["sites"].items():
            found[site] = max(found.get(site, 0), int(told["charges"]))
    return found


def privacy_of_sites(
    study: Study,
    sites: Iterable[str],
    rounds: Sequence[Mapping[str, Any]],
    evaluation: Mapping[str, EvaluateReply] | None = None,
) -> dict[str, Any]:
    """The section `privacy` of metrics.json, site by site.

    Charges are the most that a site has told, in a round or with its closing `evaluation`: an update that came too
    late was charged all the same.

    Noise from a known seed keeps nothing: its mode is "test" and it has no epsilon.
    """
    terms = study.terms
    if terms is None:
        return dict.fromkeys(sorted(sites), NOT_PRIVATE)
    charged, last = charges_of(rounds), evaluation or {}
    charged |= {site: max(charged.get(site, 0), reply.charges) for site, reply in last.items()}
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
