"""`own`, `own_site_mean`, `unseen` and `sites.*` of CONTRACT.md section 7, worked by hand."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shared.metrics import Scored, measure
from shared.study import Study
from simulations.arms import train_arm
from simulations.averages import average, difference
from simulations.bootstrap import DRAWS, seed_of, site_copies
from simulations.fold import Fold
from simulations.scores import Scores, measure_by_site, measure_scores, score_arm, subsets_of


def _classified(site: str, y: Sequence[int], p1: Sequence[float]) -> Scored:
    """Patients of one site with the probability of class 1."""
    zeros, p = np.zeros(len(y)), np.array(p1)
    return Scored(
        "classification", np.column_stack([1 - p, p]), np.array(y), zeros, zeros.astype(int), np.full(len(y), site)
    )


def _survived(site: str, time: Sequence[float], event: Sequence[int], risk: Sequence[float]) -> Scored:
    """Patients of one site; a higher risk is a lower survival in both bins (the edge is at 12 months)."""
    curve, sites = 1 - np.array(risk), np.full(len(time), site)
    y = (np.array(time) > 12).astype(int)
    return Scored("survival", np.column_stack([curve, curve / 2]), y, np.array(time), np.array(event), sites, (12.0,))


A = _classified("A", [0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8])  # accuracy 3/4; AUC 3/4: of four pairs, .3 against .4 is wrong
B = _classified("B", [0, 1], [0.6, 0.9])  # accuracy 1/2; AUC 1
C = _classified("C", [1, 1, 1], [0.7, 0.2, 0.9])  # one class
UNSEEN = (
    _classified("Z", [0, 0, 1, 1], [0.2, 0.6, 0.4, 0.9]),  # model of A: accuracy 1/2, AUC 3/4
    _classified("Z", [0, 0, 1, 1], [0.9, 0.8, 0.1, 0.2]),  # model of B: accuracy 0, AUC 0
)


@pytest.fixture
def fold(make_study: Callable[..., Study]) -> Fold:
    return Fold(make_study("task.classes=['low', 'high']", "task.ordered=false"), {}, ("A", "B", "C"))


def test_one_model_scores_all_own_patients_together(fold: Fold) -> None:
    found = measure_scores(Scores(Scored.concat([A, B, C]), UNSEEN[:1], one_model=True), fold)
    # zeros .1 .4 .6; ones .3 .8 .9 .7 .2 .9: above them 1, 3, 3, 3, 1 and 3 of 3
    assert found["own"].point["auc"][0] == pytest.approx(14 / 18)
    assert found["own"].point["accuracy"][0] == pytest.approx(6 / 9)
    assert found["own"].n == 9
    assert found["own"].events is None
    assert found["unseen"].point["auc"][0] == pytest.approx(0.75)


def test_the_site_mean_weighs_sites_by_patients_where_they_have_a_value(fold: Fold) -> None:
    found = measure_scores(Scores(Scored.concat([A, B, C]), (), one_model=True), fold)["own_site_mean"]
    assert found.point["auc"][0] == pytest.approx((4 * 0.75 + 2 * 1.0) / 6)  # C has no AUC
    assert found.point["accuracy"][0] == pytest.approx((4 * 0.75 + 2 * 0.5 + 3 * 2 / 3) / 9)


def test_local_models_are_averaged_over_sites_and_over_models(fold: Fold) -> None:
    found = measure_scores(Scores(Scored.concat([A, B, C]), UNSEEN, one_model=False), fold)
    assert found["own"] is found["own_site_mean"]
    assert found["own"].point["auc"][0] == pytest.approx(5 / 6)
    assert found["unseen"].point["auc"][0] == pytest.approx((0.75 + 0) / 2)  # each model on all unseen patients
    assert found["unseen"].point["accuracy"][0] == pytest.approx((0.5 + 0) / 2)
    assert found["unseen"].n == 4  # not once a model


def test_each_site_has_its_own_row(fold: Fold) -> None:
    found = measure_scores(Scores(Scored.concat([A, B, C]), (), one_model=True), fold)
    assert found["sites.A"].point["auc"][0] == pytest.approx(0.75)
    assert found["sites.B"].point["accuracy"][0] == pytest.approx(0.5)
    assert [found[f"sites.{site}"].n for site in "ABC"] == [4, 2, 3]
    assert "unseen" not in found


def test_one_class_has_no_auc_and_says_so(fold: Fold) -> None:
    alone = measure_scores(Scores(Scored.concat([A, B, C]), (), one_model=True), fold)["sites.C"]
    assert np.isnan(alone.point["auc"][0])
    assert alone.reasons["auc"] == "one class"
    assert "accuracy" not in alone.reasons
    value = average([[alone]])["auc"]
    assert (value.value, value.n, value.reason) == (None, 3, "one class")


def test_fewer_than_five_events_give_no_c_index(make_study: Callable[..., Study]) -> None:
    study = make_study("task.kind=survival", "task.time_edges=[12]")
    times, risks = [2.0, 5.0, 9.0, 14.0, 20.0, 30.0], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    few = _survived("A", times, [1, 1, 1, 1, 0, 0], risks)
    enough = _survived("B", times, [1, 1, 1, 1, 1, 0], risks)
    found = measure_scores(Scores(Scored.concat([few, enough]), (), one_model=True), Fold(study, {}, ("A", "B")))
    assert np.isnan(found["sites.A"].point["c_index"][0])
    assert found["sites.A"].reasons["c_index"] == "fewer than 5 events"
    assert (found["sites.A"].events, found["sites.A"].n) == (4, 6)
    assert found["sites.B"].point["c_index"][0] == pytest.approx(1.0)
    assert found["own"].events == 9


def test_draws_are_the_same_patients_for_every_arm(fold: Fold) -> None:
    own = Scored.concat([A, B, C])
    federated = measure_scores(Scores(own, UNSEEN[:1], one_model=True), fold)
    local = measure_scores(Scores(own, UNSEEN[:1], one_model=False), fold)
    for where in ("own_site_mean", "unseen"):
        assert federated[where].draws["auc"].shape == (DRAWS,)
        found = difference([[federated[where]]], [[local[where]]], "accuracy")
        assert found is not None
        assert (found.difference, found.low, found.high) == (0, 0, 0)
    assert np.ptp(federated["unseen"].draws["accuracy"]) > 0


def test_another_seed_draws_other_patients(fold: Fold, make_study: Callable[..., Study]) -> None:
    scores = Scores(Scored.concat([A, B, C]), (), one_model=True)
    other = Fold(make_study("task.classes=['low', 'high']", "task.ordered=false", "seed=1"), {}, fold.training)
    first, second = (measure_scores(scores, f)["own"].draws["accuracy"] for f in (fold, other))
    assert not np.array_equal(first, second)


def test_a_local_model_scores_its_own_site_and_every_unseen_patient(tiny: Any, tmp_path: Any) -> None:
    (fold,) = tiny.folds()
    trained = train_arm("local", fold, tiny.hospitals, tmp_path)
    scores = score_arm(fold, trained, ablate=True)
    assert not scores.one_model
    assert [len(part) for part in scores.unseen] == [7, 7, 7]
    assert scores.own.site.tolist() == [site for site in fold.training for _ in fold.test(site, None).case_id]
    assert scores.without == {}  # a single modality cannot be taken away


def test_each_modality_is_taken_away_in_turn(
    make_cohort: Any, make_study: Callable[..., Study], make_prepared: Any, tmp_path: Any
) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 20, "BB": 20})
    prepared = make_prepared(cohort, make_study(), tmp_path / "cache")
    (fold,) = prepared.folds()
    trained = train_arm("pooled", fold, prepared.hospitals, tmp_path)
    scores = score_arm(fold, trained, ablate=True)
    assert set(scores.without) == {"expression", "clinical"}
    intercept = scores.without["expression"].own.scores
    assert not np.allclose(intercept, scores.own.scores)
    assert not np.allclose(intercept, scores.without["clinical"].own.scores)
    assert score_arm(fold, trained).without == {}


def test_subsets_are_singles_pairs_and_all_in_the_fixed_order() -> None:
    assert subsets_of(("slides",)) == (("slides",),)
    assert subsets_of(("slides", "blood")) == (("slides",), ("blood",), ("slides", "blood"))
    four = subsets_of(("slides", "expression", "blood", "clinical"))
    assert len(four) == 4 + 6 + 1
    assert four[4] == ("slides", "expression")
    assert four[-1] == ("slides", "expression", "blood", "clinical")


def test_a_subset_scores_the_patients_that_have_any_of_it(
    make_cohort: Any, make_study: Callable[..., Study], make_prepared: Any, tmp_path: Any
) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 20, "BB": 20, "ZZ": 4})
    table = pd.read_csv(cohort / "expression.tsv", sep="\t")
    table.drop(columns=[name for name in table if name.startswith("TCGA-BB")]).to_csv(
        cohort / "expression.tsv", sep="\t", index=False
    )
    prepared = make_prepared(cohort, make_study(), tmp_path / "cache")
    (fold,) = prepared.folds()
    scores = score_arm(fold, train_arm("pooled", fold, prepared.hospitals, tmp_path), ablate=True)
    assert list(scores.subsets) == ["expression", "clinical", "expression+clinical"]
    genes, clinical = scores.subsets["expression"], scores.subsets["clinical"]
    assert set(genes.own.site) == {"AA"}  # nobody at BB has genes
    assert set(clinical.own.site) == {"AA", "BB"}
    assert [len(part) for part in genes.unseen] == [4]
    same = scores.without["clinical"].own  # every patient, by genes alone
    assert np.array_equal(genes.own.scores, same.take(same.site == "AA").scores)
    found = measure_scores(genes, fold)
    assert found["own"].n == int((scores.own.site == "AA").sum())
    assert found["sites.BB"].n == 0
    assert found["sites.BB"].reasons["accuracy"] == "no patients"


def test_hospitals_with_few_deaths_count_within_sites(make_study: Callable[..., Study]) -> None:
    study = make_study("task.kind=survival", "task.time_edges=[12]")
    many = _survived("A", [1, 2, 3, 4, 5, 6], [1] * 6, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    few = _survived("B", [1, 2, 3], [1, 0, 0], [0.1, 0.2, 0.3])  # both pairs are the wrong way round
    found = measure_scores(Scores(Scored.concat([many, few]), (), True), Fold(study, {}, ("A", "B")))["own_site_mean"]
    assert found.point["c_index"][0] == 1.0
    assert found.point["c_index_within_site"][0] == pytest.approx(15 / 17)
    assert found.counted["c_index"].sites == {"A"}
    assert found.counted["c_index_within_site"].sites == {"A", "B"}


def test_draws_of_hospitals_know_how_many_they_drew(fold: Fold) -> None:
    found = measure_by_site(Scores(Scored.concat([A, B, C]), UNSEEN[:1], one_model=True), fold)
    assert found["own_site_mean"].counted["accuracy"] == {"A", "B", "C"}
    assert found["own_site_mean"].counted["auc"] == {"A", "B"}
    one = found["unseen"]
    assert set(one.draws["auc"]) == {0.75}  # of one hospital, whatever is drawn
    assert one.drawn.mean() == pytest.approx(1, abs=0.15)
    assert (one.drawn == 0).mean() == pytest.approx(np.exp(-1), abs=0.08)  # which counts for nothing


def test_a_hospital_that_is_drawn_twice_counts_twice_within_sites(make_study: Callable[..., Study]) -> None:
    """As if it were two hospitals: not four times, with pairs of one copy and the other."""
    study = make_study("task.kind=survival", "task.time_edges=[12]")
    rng = np.random.default_rng(0)
    parts = [_survived(name, rng.permutation(6) + 1.0, [1] * 6, rng.random(6)) for name in "ABCD"]
    fold = Fold(study, {}, tuple("ABCD"))
    drawn = measure_by_site(Scores(Scored.concat(parts), (), True), fold)["own_site_mean"].draws["c_index_within_site"]
    copies = site_copies(list("ABCD"), seed_of(study)).astype(int)
    for d in range(20):
        again = [
            replace(part, site=np.full(6, f"{part.site[0]}{copy}"))
            for part, times in zip(parts, copies[d], strict=True)
            for copy in range(times)
        ]
        alone = measure(Scored.concat(again))["c_index_within_site"][0]
        assert drawn[d] == pytest.approx(alone)
