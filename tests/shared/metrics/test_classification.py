from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from shared.metrics import Scored, Statistics, bootstrap_weights, measure, metric_names, reasons

Make = Callable[..., Scored]


def tiny(y: list[int], second: list[float]) -> Scored:
    """Patients of two classes with the given probability of class 1."""
    scores = np.array([[1 - p, p] for p in second])
    zeros = np.zeros(len(y), dtype=np.int64)
    return Scored("classification", scores, np.array(y), np.zeros(len(y)), zeros, np.array(["A"] * len(y)))


def test_numbers_by_hand() -> None:
    found = measure(tiny([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9]))
    assert found["accuracy"] == [0.5]
    assert found["auc"] == [0.75]  # 3 of 4 pairs in order
    assert found["pr_auc"] == pytest.approx([0.5 * 1 + 0.5 * 2 / 3])
    assert found["f1"] == [0.5]
    assert found["mcc"] == [0.0]
    assert found["brier"] == pytest.approx([(0.01 + 0.36 + 0.36 + 0.01) / 4])
    # four bins of one patient each: tops .9 right, .6 wrong, .6 wrong (one bin), .9 right
    assert found["ece"] == pytest.approx([(0.2 + 1.2) / 4])


def grades(y: list[int], called: list[int]) -> Scored:
    """Patients of three grades, each sure of the grade it is given."""
    zeros = np.zeros(len(y), dtype=np.int64)
    return Scored(
        "classification", np.eye(3)[called], np.array(y), zeros * 1.0, zeros, np.array(["A"] * len(y)), ordered=True
    )


def kappa(scored: Scored, weights: np.ndarray | None = None) -> np.ndarray:
    return measure(scored, weights)["quadratic_kappa"]


def test_quadratic_kappa_by_hand() -> None:
    # seen: one miss by 2, weight 4, of 4 patients; chance: truth 2/1/1 against calls 1/1/2: (0 1 4) weights give
    # 2 x (1 x 0 + 1 x 1 + 2 x 4) + 1 x (1 + 0 + 2) + 1 x (4 + 1 + 0) = 26, over 4 patients
    assert kappa(grades([0, 0, 1, 2], [0, 2, 1, 2])) == pytest.approx([1 - 4 / (26 / 4)])
    assert kappa(grades([0, 1, 2], [0, 1, 2])) == [1.0]
    assert kappa(grades([0, 2], [2, 0])) == [-1.0]


def test_quadratic_kappa_punishes_two_grades_more_than_one() -> None:
    assert kappa(grades([0, 1, 2, 0], [0, 1, 2, 1])) > kappa(grades([0, 1, 2, 0], [0, 1, 2, 2]))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_quadratic_kappa_as_scikit_learn_and_from_counts(classes: Make, count: int) -> None:
    scored = replace(classes(90, count, seed=count), ordered=True)
    expected = sk.cohen_kappa_score(scored.y, scored.scores.argmax(axis=1), weights="quadratic")
    assert kappa(scored) == pytest.approx([expected])
    halves = [Statistics.of(scored.take(rows)) for rows in (range(40), range(40, 90))]
    assert Statistics.merge(*halves).result(ordered=True)["quadratic_kappa"] == kappa(scored)[0]


def test_quadratic_kappa_of_weighted_patients_is_that_of_repeated_ones(classes: Make) -> None:
    scored = replace(classes(30, 3), ordered=True)
    weights = bootstrap_weights(30, draws=5)
    repeated = [kappa(scored.take(np.repeat(np.arange(30), row.astype(int))))[0] for row in weights]
    assert kappa(scored, weights) == pytest.approx(repeated)


def test_quadratic_kappa_is_for_grades_only_and_null_for_one_grade(classes: Make) -> None:
    plain = classes(30, 3)
    assert "quadratic_kappa" not in measure(plain)
    assert "quadratic_kappa" not in Statistics.of(plain).result()
    same = grades([1, 1], [1, 1])
    assert np.isnan(kappa(same)).all()
    assert reasons(same)["quadratic_kappa"] == "one class"
    assert Statistics.of(same).result(ordered=True)["quadratic_kappa"] is None


def test_grades_and_plain_classes_are_not_put_together(classes: Make) -> None:
    plain = classes(10, 3)
    with pytest.raises(ValueError, match="expected parts of one task, got 2 tasks"):
        Scored.concat([plain, replace(plain, ordered=True)])
    assert Scored.concat([replace(plain, ordered=True)] * 2).ordered


def test_equal_scores_count_half() -> None:
    assert measure(tiny([0, 1, 1], [0.5, 0.5, 0.5]))["auc"] == [0.5]


@pytest.mark.parametrize("decimals", [0, 8])
def test_two_classes_as_scikit_learn(classes: Make, decimals: int) -> None:
    scored = classes(80, 2, decimals=decimals)
    y, p = scored.y, scored.scores[:, 1]
    called = scored.scores.argmax(axis=1)
    found = {name: value[0] for name, value in measure(scored).items()}
    assert found["auc"] == pytest.approx(sk.roc_auc_score(y, p))
    assert found["pr_auc"] == pytest.approx(sk.average_precision_score(y, p))
    assert found["f1"] == pytest.approx(sk.f1_score(y, called))
    assert found["brier"] == pytest.approx(sk.brier_score_loss(y, p))
    assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(y, called))


@pytest.mark.parametrize("decimals", [0, 8])
def test_three_classes_as_scikit_learn(classes: Make, decimals: int) -> None:
    scored = classes(90, 3, seed=1, decimals=decimals)
    y, called, truth = scored.y, scored.scores.argmax(axis=1), np.eye(3)[scored.y]
    expected = {
        "accuracy": sk.accuracy_score(y, called),
        "balanced_accuracy": sk.balanced_accuracy_score(y, called),
        "macro_f1": sk.f1_score(y, called, average="macro"),
        "recall_macro": sk.recall_score(y, called, average="macro"),
        "precision_macro": sk.precision_score(y, called, average="macro"),
        "auc": sk.roc_auc_score(y, scored.scores, multi_class="ovr"),
        "micro_auc": sk.roc_auc_score(truth.ravel(), scored.scores.ravel()),
        "pr_auc": sk.average_precision_score(truth, scored.scores),
        "mcc": sk.matthews_corrcoef(y, called),
        "brier": ((scored.scores - truth) ** 2).sum(axis=1).mean(),
    }
    found = {name: value[0] for name, value in measure(scored).items() if name != "ece"}
    assert found == pytest.approx(expected)


def test_ece_as_a_plain_loop(classes: Make) -> None:
    scored = classes(70, 3)
    top, right = scored.scores.max(axis=1), scored.scores.argmax(axis=1) == scored.y
    expected = 0.0
    for k in range(15):
        inside = (top > k / 15) & (top <= (k + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - top[inside].mean())
    assert measure(scored)["ece"][0] == pytest.approx(expected)


@pytest.mark.parametrize("c", [2, 3])
def test_a_weight_is_a_repeated_patient(classes: Make, c: int) -> None:
    scored = classes(30, c, decimals=1)
    weights = bootstrap_weights(30, draws=20, seed=3)
    drawn = measure(scored, weights)
    for d, row in enumerate(weights.astype(int)):
        repeated = measure(scored.take(np.repeat(np.arange(30), row)))
        for name, value in repeated.items():
            assert drawn[name][d] == pytest.approx(value[0], nan_ok=True), name


def test_a_class_without_patients_is_left_out_of_auc(classes: Make) -> None:
    scored = classes(60, 3)
    two = scored.take(scored.y != 2)
    ovr = [sk.roc_auc_score(two.y == k, two.scores[:, k]) for k in (0, 1)]
    assert measure(two)["auc"][0] == pytest.approx(np.mean(ovr))


def test_one_class_is_null_with_its_reason(classes: Make) -> None:
    scored = classes(60, 3)
    one = scored.take(scored.y == 1)
    assert reasons(one) == dict.fromkeys(("auc", "micro_auc", "pr_auc", "mcc"), "one class")
    assert measure(one)["balanced_accuracy"] == measure(one)["accuracy"]


def test_nobody_of_class_1_has_no_f1() -> None:
    assert reasons(tiny([0, 0], [0.1, 0.2]))["f1"] == "no patient has or is given class 1"


def test_mcc_of_a_model_that_says_one_class_is_zero() -> None:
    assert measure(tiny([0, 1, 1], [0.9, 0.8, 0.7]))["mcc"] == [0.0]


def test_no_patients(classes: Make) -> None:
    empty = classes(5, 2).take([])
    assert set(reasons(empty).values()) == {"no patients"}
    assert set(reasons(empty)) == set(metric_names("classification", 2))
    assert measure(empty, np.zeros((4, 0)))["auc"].shape == (4,)
