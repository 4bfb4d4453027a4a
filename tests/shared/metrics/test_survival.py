from collections.abc import Callable

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import concordance_index

from shared.metrics import Scored, bootstrap_weights, measure, reasons
from shared.metrics.survival import censoring_curve

Make = Callable[..., Scored]


def tiny(months: list[float], event: list[int], survival: list[float], site: str = "") -> Scored:
    """Patients with one inner edge at month 12 and the given chance to outlive it."""
    scores = np.array([[s, 0.0] for s in survival])
    y = (np.array(months) >= 12).astype(np.int64)
    return Scored(
        "survival", scores, y, np.array(months), np.array(event), np.array(list(site or "A" * len(months))), (12.0,)
    )


def brute(scored: Scored, power: np.ndarray, within: bool = False) -> float:
    good = pairs = 0.0
    for i in range(len(scored)):
        for j in range(len(scored)):
            later = scored.time[i] < scored.time[j] or (scored.time[i] == scored.time[j] and scored.event[j] == 0)
            if not scored.event[i] or not later or (within and scored.site[i] != scored.site[j]):
                continue
            pairs += power[i]
            good += power[i] * (1.0 if scored.risk[i] > scored.risk[j] else 0.5 * (scored.risk[i] == scored.risk[j]))
    return good / pairs


def test_c_index_by_hand() -> None:
    # deaths at 1..5, risks in order but for the first two; the censored patient at 3 is comparable with 1, 2, 3
    scored = tiny([1, 2, 3, 4, 5, 3], [1, 1, 1, 1, 1, 0], [0.2, 0.1, 0.3, 0.4, 0.5, 0.3])
    assert measure(scored)["c_index"][0] == pytest.approx((13 - 1 - 0.5) / 13)


def test_higher_risk_is_worse(survivors: Make) -> None:
    scored = survivors(80)
    other = Scored("survival", 1 - scored.scores, scored.y, scored.time, scored.event, scored.site, scored.edges)
    assert measure(scored)["c_index"][0] > 0.6
    assert measure(other)["c_index"][0] == pytest.approx(1 - measure(scored)["c_index"][0])


@pytest.mark.parametrize("whole", [True, False])
def test_c_index_as_lifelines_and_a_plain_loop(survivors: Make, whole: bool) -> None:
    scored = survivors(60, whole=whole)
    found = measure(scored)
    assert found["c_index"][0] == pytest.approx(concordance_index(scored.time, -scored.risk, scored.event))
    assert found["c_index"][0] == pytest.approx(brute(scored, np.ones(60)))
    assert found["c_index_within_site"][0] == pytest.approx(brute(scored, np.ones(60), within=True))


def test_within_site_counts_pairs_of_one_site_only() -> None:
    months, survival = [1, 2, 3, 1, 2, 3], [0.1, 0.2, 0.3, 0.7, 0.8, 0.9]
    scored = tiny(months, [1] * 6, survival, "AAABBB")
    assert measure(scored)["c_index_within_site"] == [1.0]
    assert measure(scored)["c_index"][0] < 1.0


def test_censoring_curve_as_lifelines(survivors: Make) -> None:
    scored = survivors(50, whole=False)
    curve = censoring_curve(scored, np.ones((1, 50)))[0]
    fitted = KaplanMeierFitter().fit(scored.time, 1 - scored.event)
    assert curve[1:] == pytest.approx(fitted.survival_function_at_times(np.sort(scored.time)).to_numpy())


def test_deaths_are_not_at_risk_of_censoring_in_their_month() -> None:
    # month 1: a death and a censoring among three; two remain at risk of censoring
    curve = censoring_curve(tiny([1, 1, 2], [1, 0, 1], [0.5] * 3), np.ones((1, 3)))
    assert curve.tolist() == [[1.0, 0.5, 0.5]]


def test_ipcw_as_a_plain_loop(survivors: Make) -> None:
    scored = survivors(60)
    months = np.unique(scored.time)
    before = censoring_curve(scored, np.ones((1, 60)))[0, np.searchsorted(months, scored.time)]
    power = np.where(scored.time < 60, before**-2.0, 0.0)
    assert measure(scored)["ipcw_c_index"][0] == pytest.approx(brute(scored, power))


def test_ipcw_without_censoring_is_the_c_index() -> None:
    scored = tiny([1, 2, 3, 4, 5, 6], [1] * 6, [0.2, 0.1, 0.3, 0.6, 0.5, 0.7])
    assert measure(scored)["ipcw_c_index"] == pytest.approx(measure(scored)["c_index"])


def test_ibs_by_hand() -> None:
    # nobody censored before 12: the Brier score at 12 is the mean of .6^2 (died) and .3^2 (outlived); 0 at month 0
    scored = tiny([6, 20], [1, 0], [0.6, 0.7])
    assert measure(scored)["ibs"][0] == pytest.approx((0.36 + 0.09) / 2 / 2)


def test_ibs_weighs_for_censoring_by_hand() -> None:
    # one of three censored at 3: the others stand for 3/2 each
    scored = tiny([3, 6, 20], [0, 1, 0], [0.9, 0.6, 0.7])
    assert measure(scored)["ibs"][0] == pytest.approx((0.36 + 0.09) * 1.5 / 3 / 2)


def test_ibs_leaves_out_edges_that_nobody_outlived(survivors: Make) -> None:
    scored = survivors(60)
    early = scored.take(scored.time < 40)
    cut = Scored("survival", early.scores[:, :3], early.y.clip(0, 2), early.time, early.event, early.site, (12.0, 24.0))
    assert measure(early)["ibs"] == measure(cut)["ibs"]


def test_a_weight_is_a_repeated_patient(survivors: Make) -> None:
    scored = survivors(40)
    weights = bootstrap_weights(40, draws=15, seed=5)
    drawn = measure(scored, weights)
    for d, row in enumerate(weights.astype(int)):
        repeated = measure(scored.take(np.repeat(np.arange(40), row)))
        for name, value in repeated.items():
            assert drawn[name][d] == pytest.approx(value[0]), name


def test_pairs_of_many_patients_are_counted_in_blocks(survivors: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    scored = survivors(60)
    whole = measure(scored)
    monkeypatch.setattr("shared.metrics.survival.PAIRS_AT_ONCE", 200)
    monkeypatch.setattr("shared.metrics.measurement.WEIGHTS_AT_ONCE", 100)
    assert measure(scored, np.ones((3, 60)))["c_index"] == pytest.approx(whole["c_index"].repeat(3))


def test_fewer_than_five_events_are_null_with_their_reason(survivors: Make) -> None:
    scored = survivors(40)
    alive = np.flatnonzero(scored.event == 0)
    few = scored.take(np.concatenate([alive, np.flatnonzero(scored.event)[:4]]))
    assert reasons(few) == dict.fromkeys(("c_index", "c_index_within_site", "ipcw_c_index"), "fewer than 5 events")


def test_other_reasons() -> None:
    alone = tiny([1, 2, 3, 4, 5, 6], [1] * 6, [0.5] * 6, "ABCDEF")
    assert reasons(alone)["c_index_within_site"] == "no comparable pair within a site"
    assert reasons(alone)["ibs"] == "nobody followed beyond the first time edge"
    together = tiny([3] * 5, [1] * 5, [0.5] * 5)
    assert reasons(together)["c_index"] == "no comparable pair"
    assert set(reasons(together.take([])).values()) == {"no patients"}
