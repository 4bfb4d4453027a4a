import math

import numpy as np
import pandas as pd
import pytest
import torch

from shared.errors import CohortError, StudyError
from shared.study import ClassificationTask
from shared.tasks import Classification, classes_in, count_classes, task_of


def task(*classes: str, **settings: object) -> Classification:
    return Classification(ClassificationTask(kind="classification", column="grade", classes=classes, **settings))


def table(*values: object) -> pd.DataFrame:
    return pd.DataFrame({"case_id": range(len(values)), "grade": values})


def test_labels_follow_the_order_of_classes_not_of_the_alphabet():
    labels = task("high", "low").labels(table("low", "high", " low "))
    assert labels.y.tolist() == [1, 0, 1]
    assert labels.y.dtype == np.int64
    assert labels.reason == ("", "", "")
    assert labels.time.tolist() == labels.cens.tolist() == labels.event.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("missing", ["", "  ", "NA", "nan", None, float("nan"), pd.NA])
def test_an_empty_cell_is_a_reason_not_a_class(missing):
    labels = task("G2", "G3").labels(table("G3", missing))
    assert labels.y.tolist() == [1, -1]
    assert labels.reason == ("", "label missing")
    assert labels.usable.tolist() == [True, False]
    assert task("G2", "G3").strata(labels).tolist() == [1, -1]


def test_groups_come_before_classes():
    grouped = task("luminal", "basal", groups={"LumA": "luminal", "LumB": "luminal"})
    assert grouped.labels(table("LumA", "basal", "LumB", "luminal")).y.tolist() == [0, 1, 0, 0]


def test_unknown_values_are_refused_by_name_and_count():
    message = r"grade: expected one of G2, G3, got 'II' \(2\), 'IV' \(1\); add them .*\[values.grade\]"
    with pytest.raises(CohortError, match=message):
        task("G2", "G3").labels(table("II", "G2", "IV", "II", ""))


def test_values_left_out_are_counted_by_name_before_groups_and_classes():
    some = task("luminal", "basal", groups={"LumA": "luminal"}, left_out=("Normal", "Claudin"))
    labels = some.labels(table("LumA", "Normal", "basal", "Claudin", ""))
    assert labels.y.tolist() == [0, -1, 1, -1, -1]
    assert labels.reason == ("", "left out: Normal", "", "left out: Claudin", "label missing")
    assert some.strata(labels).tolist() == [0, -1, 1, -1, -1]
    assert count_classes(table("LumA", "Normal", "LumA", "basal"), some.settings) == {"luminal": 2, "basal": 1}


def test_a_value_that_is_left_out_and_a_stranger_are_told_apart():
    with pytest.raises(CohortError, match=r"expected one of G2, G3, got 'G4' \(1\); add them .*task.left_out"):
        task("G2", "G3", left_out=("G1",)).labels(table("G1", "G4", "G2"))


JOINED = ClassificationTask(
    kind="classification",
    column="grade + idh",
    classes=("GBM", "astro"),
    groups={"G4 + wt": "GBM", "G3 + mut": "astro", "G2 + mut": "astro"},
    left_out=("G2 + wt",),
)


def joined(*pairs: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["grade", "idh"])


def test_joined_columns_are_one_value_and_empty_if_one_is():
    labels = Classification(JOINED).labels(joined(("G4", "wt"), ("G2", " mut"), ("G2", "wt"), ("G4", ""), ("NA", "wt")))
    assert labels.y.tolist() == [0, 1, -1, -1, -1]
    assert labels.reason == ("", "", "left out: G2 + wt", "label missing", "label missing")


def test_a_fault_of_joined_columns_names_the_joined_value_and_both_places():
    message = r"grade \+ idh: expected one of GBM, astro, got 'G5 \+ wt' \(1\); .* \[values.grade\] or \[values.idh\]"
    with pytest.raises(CohortError, match=message):
        Classification(JOINED).labels(joined(("G5", "wt")))
    with pytest.raises(CohortError, match="expected the column 'idh', got grade"):
        Classification(JOINED).labels(pd.DataFrame({"grade": ["G4"]}))


def test_classes_in_joined_columns_are_those_that_are_there():
    settings = JOINED.model_copy(update={"classes": (), "groups": {}})
    assert classes_in(joined(("G4", "wt"), ("G2", "wt"), ("G3", "mut"), ("G3", "")), settings) == (
        "G3 + mut",
        "G4 + wt",
    )


def test_a_missing_column_is_refused():
    with pytest.raises(CohortError, match="expected the column 'grade', got case_id, sex; correct the study"):
        task("G2", "G3").labels(pd.DataFrame({"case_id": ["a"], "sex": ["male"]}))


def test_an_empty_table_has_no_labels():
    labels = task("G2", "G3").labels(table())
    assert labels.y.shape == (0,)
    assert labels.usable.shape == (0,)


def test_classes_in_a_table_are_sorted_after_grouping():
    settings = ClassificationTask(kind="classification", column="grade", groups={"G1": "low", "G2": "low"})
    assert classes_in(table("high", "G2", "", "G1"), settings) == ("high", "low")
    with pytest.raises(StudyError, match="expected at least two classes, got none"):
        task_of(settings)


def test_two_classes_share_the_logit_of_the_second(batch_of, output_of):
    binary = task("benign", "malignant")
    assert (binary.kind, binary.outputs) == ("classification", 1)
    output = output_of(torch.tensor([[0.0], [math.log(3)]]))
    torch.testing.assert_close(binary.scores(output), torch.tensor([[0.5, 0.5], [0.25, 0.75]]))
    expected = torch.tensor([math.log(2), -math.log(0.75)])
    torch.testing.assert_close(binary.loss(output, batch_of([0, 1])), expected)


def test_several_classes_have_a_logit_each(batch_of, output_of):
    several = task("G2", "G3", "G4")
    assert several.outputs == 3
    output = output_of(torch.log(torch.tensor([[1.0, 2.0, 1.0], [1.0, 1.0, 1.0]])))
    torch.testing.assert_close(several.scores(output)[0], torch.tensor([0.25, 0.5, 0.25]))
    torch.testing.assert_close(several.loss(output, batch_of([1, 0])), torch.tensor([math.log(2), math.log(3)]))


def test_extreme_logits_give_a_finite_loss(batch_of, output_of):
    output = output_of(torch.tensor([[200.0], [-200.0]]))
    torch.testing.assert_close(task("a", "b").loss(output, batch_of([0, 1])), torch.tensor([200.0, 200.0]))


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
def test_a_class_weight_is_a_factor_of_the_loss_of_its_patients(classes, batch_of, output_of):
    weights = (2.0, 0.5, 3.0)[: len(classes)]
    plain, weighted = task(*classes), task(*classes, class_weights=weights)
    y = [0, 1, 1, len(classes) - 1]
    output = output_of(torch.tensor(np.random.default_rng(0).normal(size=(4, plain.outputs)), dtype=torch.float32))
    expected = plain.loss(output, batch_of(y)) * torch.tensor([weights[label] for label in y])
    torch.testing.assert_close(weighted.loss(output, batch_of(y)), expected)
    torch.testing.assert_close(weighted.scores(output), plain.scores(output))


def test_balanced_softmax_by_hand(batch_of, output_of):
    """Ren et al. 2020, equation 4: each class's share of sum_k n_k exp(z_k)."""
    balanced = task("a", "b", "c", priors=(0.5, 0.3, 0.2), logit_adjustment=1.0)
    z = torch.log(torch.tensor([[1.0, 2.0, 4.0], [1.0, 1.0, 1.0]]))
    total = 0.5 * 1 + 0.3 * 2 + 0.2 * 4
    expected = -torch.log(torch.tensor([0.3 * 2 / total, 0.2]))
    torch.testing.assert_close(balanced.loss(output_of(z), batch_of([1, 2])), expected)
    torch.testing.assert_close(balanced.scores(output_of(z)), z.softmax(1))  # raw logits


def test_the_adjustment_of_two_classes_is_that_of_their_odds(batch_of, output_of):
    """One logit z is the pair (0, z), whose softmax is adjusted like any other."""
    settings = {"priors": (0.8, 0.2), "logit_adjustment": 0.7}
    z = torch.tensor([[-0.3], [1.2]])
    pair = torch.cat([torch.zeros(2, 1), z], dim=1) + 0.7 * torch.log(torch.tensor([0.8, 0.2]))
    expected = torch.nn.functional.cross_entropy(pair, torch.tensor([1, 0]), reduction="none")
    torch.testing.assert_close(task("a", "b", **settings).loss(output_of(z), batch_of([1, 0])), expected)


def test_adjusted_and_weighted_losses_stay_finite_and_push_the_rare_class_up(batch_of, output_of):
    z = torch.zeros(1, 3, requires_grad=True)
    rare = task("a", "b", "c", priors=(0.98, 0.01, 0.01), logit_adjustment=1.0, class_weights=(1.0, 5.0, 5.0))
    rare.loss(output_of(z), batch_of([2])).sum().backward()
    assert z.grad[0, 2] < -4.9  # nearly the whole weight: the prior alone would give this class 1 %
    assert torch.isfinite(z.grad).all()


def test_the_task_takes_its_own_logits_only(batch_of, output_of):
    some = task("a", "b", "c")
    z = torch.randn(4, 3)
    wider = output_of(torch.cat([z, torch.randn(4, 2)], dim=1))
    torch.testing.assert_close(
        some.loss(wider, batch_of([0, 1, 2, 0])), some.loss(output_of(z), batch_of([0, 1, 2, 0]))
    )
    torch.testing.assert_close(some.scores(wider), some.scores(output_of(z)))


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
def test_no_patients_no_loss(classes, batch_of, output_of):
    some = task_of(task(*classes).settings)
    output = output_of(torch.zeros(0, some.outputs))
    assert some.loss(output, batch_of([])).shape == (0,)
    assert some.scores(output).shape == (0, len(classes))
