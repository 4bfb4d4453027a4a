import time
from collections.abc import Callable

import numpy as np
import pytest

from shared.metrics import (
    MAIN,
    Scored,
    bootstrap_weights,
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
