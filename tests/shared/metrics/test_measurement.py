import time
from collections.abc import Callable

import numpy as np
import pytest

from shared.metrics import (
    MAIN,
    Scored,
    bootstrap_weights,
    computed_at,
    measure,
    measure_site_mean,
    metric_names,
    reasons,
    site_mean_reasons,
)

Make = Callable[..., Scored]


def test_names_are_those_measured(classes: Make, survivors: Make) -> None:
    assert tuple(measure(classes(40, 3))) == metric_names("classification", 3)
    assert tuple(measure(classes(40, 2))) == metric_names("classification", 2)
    assert tuple(measure(survivors(40))) == metric_names("survival", 4)
    assert all(set(MAIN[kind]) <= set(metric_names(kind, 3)) for kind in MAIN)


def test_site_mean_is_weighted_by_patients(classes: Make) -> None:
    scored = classes(60, 3)
    sites = [scored.take(scored.site == site) for site in ("06", "HT", "S9")]
    expected = sum(measure(site)["accuracy"][0] * len(site) for site in sites) / 60
    assert measure_site_mean(scored)["accuracy"][0] == pytest.approx(expected)


def test_site_mean_leaves_out_sites_without_a_value(classes: Make) -> None:
    scored = classes(60, 2)
    one = np.where(scored.site == "06", 0, scored.y)
    scored = Scored("classification", scored.scores, one, scored.time, scored.event, scored.site)
    sites = [scored.take(scored.site == site) for site in ("HT", "S9")]
    expected = sum(measure(site)["auc"][0] * len(site) for site in sites) / sum(map(len, sites))
    assert measure_site_mean(scored)["auc"][0] == pytest.approx(expected)


def test_site_mean_of_draws_is_that_of_repeated_patients(classes: Make) -> None:
    scored = classes(40, 3)
    weights = bootstrap_weights(40, draws=5, seed=1)
    drawn = measure_site_mean(scored, weights)
    for d, row in enumerate(weights.astype(int)):
        repeated = measure_site_mean(scored.take(np.repeat(np.arange(40), row)))
        assert drawn["auc"][d] == pytest.approx(repeated["auc"][0])


def test_reasons_of_a_site_mean(survivors: Make) -> None:
    scored = survivors(60)
    assert site_mean_reasons(scored) == {}
    few = scored.take(np.concatenate([np.flatnonzero(scored.event == 0), np.flatnonzero(scored.event)[:4]]))
    assert site_mean_reasons(few)["c_index"] == "at every site: fewer than 5 events"
    assert set(site_mean_reasons(scored.take([])).values()) == {"no patients"}


def few_deaths_but_at_ht(scored: Scored) -> Scored:
    """All of HT; of the other two hospitals the survivors and three deaths each."""
    rows = [np.flatnonzero(scored.site == "HT")]
    for site in ("06", "S9"):
        here = scored.site == site
        rows += [np.flatnonzero(here & (scored.event == 0)), np.flatnonzero(here & (scored.event == 1))[:3]]
    return scored.take(np.concatenate(rows))


def pairs(scored: Scored) -> tuple[float, float]:
    """Concordant and comparable pairs of patients of one hospital, counted one by one."""
    right = every = 0.0
    for i in np.flatnonzero(scored.event):
        for j in range(len(scored)):
            outlived = scored.time[j] > scored.time[i] or (scored.time[j] == scored.time[i] and not scored.event[j])
            if scored.site[i] == scored.site[j] and outlived:
                every += 1
                right += 1.0 if scored.risk[i] > scored.risk[j] else 0.5 * (scored.risk[i] == scored.risk[j])
    return right, every


def test_within_sites_counts_hospitals_that_have_too_few_deaths_for_an_index_of_their_own(survivors: Make) -> None:
    scored = few_deaths_but_at_ht(survivors(120))
    found = measure_site_mean(scored)
    right, every = pairs(scored)
    assert found["c_index_within_site"][0] == pytest.approx(right / every)
    alone = measure(scored.take(scored.site == "HT"))
    assert found["c_index"][0] == alone["c_index"][0] != found["c_index_within_site"][0]
    at = computed_at(scored)
    assert at["c_index"] == ["HT"]
    assert at["c_index_within_site"] == ["06", "HT", "S9"]
    assert "c_index" not in computed_at(scored.take(scored.site == "S9"))
    nobody_died = scored.take((scored.site == "HT") | (scored.event == 0))
    assert computed_at(nobody_died)["c_index_within_site"] == ["HT"]


def test_within_sites_of_draws_is_that_of_repeated_patients(survivors: Make) -> None:
    scored = few_deaths_but_at_ht(survivors(90))
    weights = bootstrap_weights(len(scored), draws=4, seed=1)
    drawn = measure_site_mean(scored, weights)["c_index_within_site"]
    for value, row in zip(drawn, weights.astype(int), strict=True):
        right, every = pairs(scored.take(np.repeat(np.arange(len(scored)), row)))
        assert value == pytest.approx(right / every)


def test_what_can_be_measured_has_no_reason(classes: Make) -> None:
    assert reasons(classes(60, 3)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classification", "survival"])
def test_a_thousand_draws_of_300_patients_take_less_than_a_second(kind: str, classes: Make, survivors: Make) -> None:
    scored = classes(300, 3) if kind == "classification" else survivors(300)
    weights = bootstrap_weights(300)
    began = time.process_time()
    measure(scored, weights)
    assert time.process_time() - began < 1.0
