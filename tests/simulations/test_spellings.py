"""One class, one spelling."""

import pytest

from shared.errors import CohortError
from simulations.adapt import adapt
from simulations.spellings import several_spellings


def test_spellings_of_one_class_are_named_with_their_counts() -> None:
    column = ["IDHwt"] * 3 + ["IDHWT"] + ["IDH-wt"] * 2 + ["IDHmut"] + [""]
    assert several_spellings({"idh": column}) == [
        "column 'idh': expected one spelling a class, got 'IDHwt' (3), 'IDH-wt' (2), 'IDHWT' (1); "
        "write 'IDHwt' throughout"
    ]


@pytest.mark.parametrize(
    "column",
    [
        ["G2", "G3", "G4"],
        ["1", "1.0"],  # numbers, which the task reads as such
        ["LumA", "LumB", "Her2", "Basal", "Normal"],
        ["ER+", "ER-"],
        ["+", "-"],
        ["Yes", "yes", *(f"free text {n}" for n in range(50))],  # no classes
    ],
)
def test_distinct_classes_stay(column: list[str]) -> None:
    assert several_spellings({"a": column}) == []


def test_a_study_without_classes_is_refused_such_a_column(make_cohort, make_study, tmp_path) -> None:  # type: ignore[no-untyped-def]
    cohort = make_cohort(tmp_path / "cohort", {"02": 20})
    text = (cohort / "clinical.tsv").read_text()
    (cohort / "clinical.tsv").write_text(text.replace("G2\n", "g2\n", 1))
    study = make_study("task.column=grade", "task.classes=[]", "task.ordered=false")
    with pytest.raises(
        CohortError, match=r"clinical.tsv: 1 fault\n +column 'grade': expected one spelling .* 'g2' \(1\)"
    ):
        adapt(study, cohort, synthetic=False)
