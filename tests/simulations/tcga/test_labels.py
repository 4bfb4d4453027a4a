"""Labels joined from a table that a person names."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from shared.errors import CohortError
from simulations.tcga.labels import join_labels, label_file

Write = Callable[..., Path]
CLINICAL = pd.DataFrame({"case_id": ["TCGA-02-0001", "TCGA-06-0002", "TCGA-DU-0003"], "sex": ["male", "female", ""]})


def test_labels_stand_beside_their_patients(labels: Write) -> None:
    path = labels("Patient,idh", "TCGA-DU-0003,IDHmut", "TCGA-02-0001,IDHwt", "TCGA-ZZ-9999,IDHwt")
    joined, notes = join_labels(CLINICAL, path)
    assert joined["idh"].tolist() == ["IDHwt", "", "IDHmut"]
    assert joined["sex"].tolist() == ["male", "female", ""]
    assert notes == ["Labels: 2 of 3 patients are in labels.csv."]


def test_longer_barcodes_belong_to_the_patient_and_a_primary_tumour_goes_first(labels: Write) -> None:
    path = labels("sample\tpam50", "TCGA-02-0001-02A\tBasal", "TCGA-02-0001-01A\tLumA", "TCGA-06-0002-11A\tNormal",
                  name="labels.tsv")  # fmt: skip
    joined, _ = join_labels(CLINICAL, path)
    assert joined["pam50"].tolist() == ["LumA", "", ""]  # normal tissue is nobody's tumour


def test_the_column_may_be_named(labels: Write) -> None:
    path = labels("number,barcode,grade", "1,TCGA-02-0001,G4")
    joined, _ = join_labels(CLINICAL, *label_file(f"{path}:barcode"))
    assert joined["grade"].tolist() == ["G4", "", ""]
    with pytest.raises(CohortError, match="expected a column 'barcodes' with the barcodes, got none; write :barcode"):
        join_labels(CLINICAL, *label_file(f"{path}:barcodes"))


def test_no_such_table() -> None:
    with pytest.raises(
        CohortError, match="--labels: expected a table FILE or FILE:case_column, got no file nowhere.csv"
    ):
        label_file("nowhere.csv:case")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["case_id,sex", "TCGA-02-0001,male"], "line 1: expected no column 'sex', which clinical.tsv has; rename it"),
        (
            ["case_id,idh", "TCGA-A1-0001,x"],
            "expected barcodes of the 3 patients in column 'case_id', got none of this",
        ),
        (["case_id,idh", "TARGET-30-PAISNS,x", "P1,y"], "got 1 of TARGET and 1 others, none of TCGA; name the column"),
        (
            ["case_id,idh", "TCGA-02-0001,x", "TCGA-02-0001,y"],
            "line 3: expected one line for case_id, got other labels on",
        ),
        (
            ["case_id,idh", "TCGA-02-0001,IDHwt", "TCGA-06-0002,IDHWT", "TCGA-DU-0003,IDH-wt"],
            r"column 'idh': expected one spelling a class, got 'IDH-wt' \(1\), 'IDHWT' \(1\), 'IDHwt' \(1\)",
        ),
    ],
)
def test_faults_of_the_table(rows: list[str], message: str, labels: Write) -> None:
    with pytest.raises(CohortError, match=message) as caught:
        join_labels(CLINICAL, labels(*rows))
    assert "TCGA-0" not in str(caught.value)  # patients are never named


def test_the_same_label_twice_is_no_fault(labels: Write) -> None:
    joined, _ = join_labels(CLINICAL, labels("case_id,idh", "TCGA-02-0001,x", "TCGA-02-0001,x"))
    assert joined["idh"].tolist() == ["x", "", ""]
