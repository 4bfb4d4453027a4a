import math

import numpy as np
import pandas as pd
import pytest
import torch

from shared.errors import CohortError, StudyError
from shared.study import ClassificationTask
from shared.tasks import Classification, classes_in, task_of


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
def test_no_patients_no_loss(classes, batch_of, output_of):
    some = task_of(task(*classes).settings)
    output = output_of(torch.zeros(0, some.outputs))
    assert some.loss(output, batch_of([])).shape == (0,)
    assert some.scores(output).shape == (0, len(classes))
