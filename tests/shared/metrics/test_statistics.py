import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import WorkFailed
from shared.metrics import Scored, Statistics, measure, metric_names
from shared.metrics.class_counts import histogram_bin

Make = Callable[..., Scored]
EXACT = ("accuracy", "balanced_accuracy", "macro_f1", "recall_macro", "precision_macro", "mcc")


def by_site(scored: Scored) -> Statistics:
    """Each hospital's statistics through a message, added up."""
    total: dict[str, list[float]] = {}
    for site in np.unique(scored.site):
        record = json.loads(json.dumps(Statistics.of(scored.take(scored.site == site)).to_record()))
        for name, entry in record.items():
            total[name] = (np.array(total.get(name, 0)) + np.array(entry)).tolist()
    return Statistics.from_record(total)


@pytest.mark.parametrize("c", [2, 3, 5])
def test_classification_of_sums_is_that_of_patients(classes: Make, c: int) -> None:
    scored = classes(240, c)
    patients, sums = measure(scored), by_site(scored).result()
    assert set(sums) == set(metric_names("classification", c))
    for name in (*EXACT, *(["f1"] if c == 2 else [])):
        assert sums[name] == patients[name][0], name
    assert sums["brier"] == pytest.approx(patients["brier"][0], abs=1e-12)
    assert sums["ece"] == pytest.approx(patients["ece"][0], abs=1e-12)
    assert sums["auc"] == pytest.approx(patients["auc"][0], abs=0.002)
    assert sums["micro_auc"] == pytest.approx(patients["micro_auc"][0], abs=0.002)
    assert sums["pr_auc"] == pytest.approx(patients["pr_auc"][0], abs=0.01)


@pytest.mark.parametrize("sharpness", [0.3, 3.0])
def test_auc_stays_close_for_timid_and_for_certain_models(classes: Make, sharpness: float) -> None:
    scored = classes(240, 3, seed=4)
    scores = scored.scores**sharpness
    scores /= scores.sum(axis=1, keepdims=True)
    scored = Scored("classification", scores, scored.y, scored.time, scored.event, scored.site)
    assert Statistics.of(scored).result()["auc"] == pytest.approx(measure(scored)["auc"][0], abs=0.002)


@pytest.mark.parametrize("seed", range(5))
def test_survival_of_sums_is_close_to_that_of_patients(survivors: Make, seed: int) -> None:
    scored = survivors(300, seed, whole=False)
    patients, sums = measure(scored), by_site(scored)
    assert (sums.n, sums.events) == (300, scored.events)
    found = sums.result()
    assert found["c_index_within_site"] == patients["c_index_within_site"][0]
    assert found["c_index"] == pytest.approx(patients["c_index"][0], abs=0.02)
    assert (found["ipcw_c_index"], found["ibs"]) == (None, None)


def test_grid_by_hand() -> None:
    """Months in different cells, risks in different cells: the grid is exact, and equal risks count half."""
    survival = np.array([[0.1, 0.0], [0.4, 0.0], [0.4, 0.0], [0.7, 0.0], [0.9, 0.0], [0.95, 0.0]])
    months, event = np.array([1.5, 3.5, 5.5, 7.5, 9.5, 11.5]), np.array([1, 1, 1, 1, 1, 0])
    scored = Scored("survival", survival, np.zeros(6, int), months, event, np.array(list("ABABAB")), (12.0,))
    assert Statistics.of(scored).result()["c_index"] == (15 - 0.5) / 15 == measure(scored)["c_index"][0]


def test_null_rules(classes: Make, survivors: Make) -> None:
    scored = classes(60, 3)
    one = Statistics.of(scored.take(scored.y == 1)).result()
    assert {name for name, value in one.items() if value is None} == {"auc", "micro_auc", "pr_auc", "mcc"}
    assert set(Statistics.of(scored.take([])).result().values()) == {None}
    alive = survivors(60)
    assert Statistics.of(alive.take(alive.event == 0)).result()["c_index"] is None


def test_statistics_of_nobody_change_nothing(survivors: Make, classes: Make) -> None:
    for scored in (survivors(50), classes(50, 2)):
        both = Statistics.merge(Statistics.of(scored), Statistics.of(scored.take([])))
        assert both.result() == Statistics.of(scored).result()


def test_merge_refuses_two_tasks(classes: Make) -> None:
    with pytest.raises(WorkFailed, match="statistics of one task"):
        Statistics.merge(Statistics.of(classes(20, 2)), Statistics.of(classes(20, 3)))


def test_counts_travel_as_integers(classes: Make, survivors: Make) -> None:
    for scored in (classes(20, 3), survivors(20)):
        for name, entry in Statistics.of(scored).to_record().items():
            kind = float if name in ("brier_sum", "calibration_sum") else int
            assert {type(number) for number in entry} == {kind}, name


def test_a_malformed_record_is_refused(classes: Make) -> None:
    record = Statistics.of(classes(20, 3)).to_record()
    with pytest.raises(WorkFailed, match="expected the entries"):
        Statistics.from_record({name: entry for name, entry in record.items() if name != "positives"})
    with pytest.raises(WorkFailed, match="expected the entries"):
        Statistics.from_record({**record, "positives": record["positives"][:-1]})
    with pytest.raises(WorkFailed, match="negative or infinite one; drop this reply"):
        Statistics.from_record({**record, "brier_sum": [float("nan")]})
    with pytest.raises(WorkFailed, match="negative"):
        Statistics.from_record({**record, "n": [-1]})


def test_counts_that_no_hospital_has_are_refused(classes: Make, survivors: Make) -> None:
    two = Statistics.of(classes(20, 2)).to_record()
    with pytest.raises(WorkFailed, match=r"at most 1e\+12 in confusion, got a larger one; drop this reply"):
        Statistics.from_record({**two, "confusion": [2**62, 0, 0, 2**62]})
    dead = Statistics.of(survivors(20)).to_record()
    for record, name in ((two, "n"), (two, "confusion"), (two, "negatives"), (dead, "n"), (dead, "censored")):
        with pytest.raises(WorkFailed, match="expected every patient once in each table of counts"):
            Statistics.from_record({**record, name: [record[name][0] + 1, *record[name][1:]]})


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_bins_keep_the_order_of_probabilities(probabilities: list[float]) -> None:
    ordered = np.sort(np.array(probabilities))
    bins = histogram_bin(ordered)
    assert (np.diff(bins) >= 0).all()
    assert 0 <= bins.min() <= bins.max() <= 255


def test_the_ends_have_bins_of_their_own() -> None:
    assert histogram_bin(np.array([0.0, 0.5, 1.0])).tolist() == [0, 128, 255]
