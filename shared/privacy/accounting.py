"""From events to epsilon: privacy loss distributions, composed over everything that was ever released.

The figure of record is Google's `dp-accounting` (Doroshenko et al. 2022, connect-the-dots), a pessimistic estimate at
a discretisation of 1e-3. Renyi accounting is shown as a looser upper bound and Opacus's PRV accountant (Gopi, Lee and
Wutschitz 2021) as an independent check. The Gaussian (CLT) accountant and sqrt(2 ln(1.25/delta))/epsilon are no upper
bounds here and are not offered.
"""

import math
import warnings
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from shared.privacy.events import Event, merged

if TYPE_CHECKING:  # dp_accounting takes a second to import, for which no command without an epsilon should wait
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

__all__ = ["ACCOUNTANT", "DISCRETISATION", "Relation", "epsilon", "prv_epsilon", "rdp_epsilon"]

Relation = Literal["add_remove", "replace_one"]
DISCRETISATION = 1e-3
ACCOUNTANT = f"dp-accounting {version('dp-accounting')} PLD"
MOST_LOSS = 500.0
"""Beyond it epsilon is near 100 or more wherever sigma is .5 or more, and counts as no bound: what no site would allow
must not cost it hours to compute."""
RELATIONS = {"add_remove": "ADD_OR_REMOVE_ONE", "replace_one": "REPLACE_ONE"}


def epsilon(events: Iterable[Event], delta: float, relation: Relation = "add_remove") -> float:
    """The epsilon at `delta` of all `events` together; 0 for none, `inf` when there is no bound.

    Parameters
    ----------
    relation
        Neighbours: data with and without one patient, or with one patient exchanged (about twice the figure).
    """
    return _epsilon(merged(events), delta, relation)


@lru_cache(maxsize=1024)
def _epsilon(events: tuple[Event, ...], delta: float, relation: Relation) -> float:
    if not events:
        return 0.0
    if sum(_loss(event) for event in events) > MOST_LOSS:
        return math.inf
    return float(_composed(events, relation).get_epsilon_for_delta(delta))


def _loss(event: Event) -> float:
    """The central limit's mu squared, about twice the mean privacy loss; at most that without sampling."""
    alone = event.sigma**-2
    sampled = event.sample_rate**2 * math.expm1(min(alone, MOST_LOSS))
    return event.steps * min(alone, sampled)


@lru_cache(maxsize=64)
def _composed(events: tuple[Event, ...], relation: Relation) -> "PrivacyLossDistribution":
    """By halves, so that one more round of one event leaves most of the others' compositions as they are."""
    if len(events) == 1:
        return _one(events[0], relation)
    middle = len(events) // 2
    return _composed(events[:middle], relation).compose(_composed(events[middle:], relation))


def _one(event: Event, relation: Relation) -> "PrivacyLossDistribution":
    """`event.steps` times the same step. Without sampling they are one release with less noise, exactly."""
    if event.sample_rate == 1.0:
        return _step(1.0, event.sigma / math.sqrt(event.steps), relation)
    return _step(event.sample_rate, event.sigma, relation).self_compose(event.steps)


@lru_cache(maxsize=64)
def _step(rate: float, sigma: float, relation: Relation) -> "PrivacyLossDistribution":
    from dp_accounting import NeighboringRelation
    from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism

    return from_gaussian_mechanism(
        sigma,
        value_discretization_interval=DISCRETISATION,
        sampling_prob=rate,
        neighboring_relation=NeighboringRelation[RELATIONS[relation]],
    )


def rdp_epsilon(events: Iterable[Event], delta: float) -> float:
    """A looser upper bound by Renyi divergences (add/remove), 8 to 25 % above the figure of record."""
    return _rdp_epsilon(merged(events), delta)


@lru_cache(maxsize=64)
def _rdp_epsilon(events: tuple[Event, ...], delta: float) -> float:
    import dp_accounting
    from dp_accounting import NeighboringRelation
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant(neighboring_relation=NeighboringRelation.ADD_OR_REMOVE_ONE)
    for event in events:
        step = dp_accounting.GaussianDpEvent(event.sigma)
        accountant.compose(dp_accounting.PoissonSampledDpEvent(event.sample_rate, step), event.steps)
    return float(accountant.get_epsilon(delta))


def prv_epsilon(events: Iterable[Event], delta: float) -> float:
    """Opacus's PRV accountant (add/remove): within .02 of the figure of record. Takes up to a second."""
    return _prv_epsilon(merged(events), delta)


@lru_cache(maxsize=64)
def _prv_epsilon(events: tuple[Event, ...], delta: float) -> float:
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = [(event.sigma, event.sample_rate, event.steps) for event in events]
    if not accountant.history:
        return 0.0
    with warnings.catch_warnings():  # it takes log(0) where every patient is in every step, and says so
        warnings.simplefilter("ignore")
        return float(accountant.get_epsilon(delta))
