import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared.cohort.blood import blood_panel
from shared.cohort.genes import packaged_panel, vocabulary
from simulations.synthetic.biology import draw_patients
from simulations.synthetic.blood import draw_blood, draw_laboratory
from simulations.synthetic.expression import draw_batch
from simulations.synthetic.hospitals import DEFAULT_HOSPITALS

BARCODE = re.compile(r"TCGA-[0-9A-Z]{2}-[0-9A-Z]{4}")


@pytest.fixture(scope="module")
def clinical(cohort: Path) -> pd.DataFrame:
    return pd.read_csv(cohort / "clinical.tsv", sep="\t", dtype={"case_id": str})


@pytest.fixture(scope="module")
def blood() -> pd.DataFrame:
    """Blood of the default hospitals, without writing their slides."""
    rows = [
        {"hospital": patient.hospital, "sex": patient.sex, **vars(row)}
        for hospital in DEFAULT_HOSPITALS
        for patient in draw_patients(hospital, seed=0)
        if patient.has_blood
        for row in draw_blood(patient, draw_laboratory(hospital.code, 0), seed=0)
    ]
    return pd.DataFrame(rows)


def test_clinical_columns_and_words(clinical: pd.DataFrame) -> None:
    assert list(clinical.columns) == [
        "case_id",
        "age_at_diagnosis",
        "sex",
        "os_months",
        "os_event",
        "grade",
        "idh_codel_subtype",
    ]
    assert all(BARCODE.fullmatch(case_id) for case_id in clinical["case_id"])
    assert clinical["case_id"].is_unique
    assert set(clinical["case_id"].str[5:7]) == {"AA", "02", "CC"}
    assert set(clinical["sex"]) <= {"male", "female"}
    assert set(clinical["grade"]) <= {"G2", "G3", "G4"}
    assert set(clinical["idh_codel_subtype"]) <= {"IDHwt", "IDHmut-codel", "IDHmut-non-codel"}
    assert set(clinical["os_event"]) <= {0, 1}
    assert clinical["age_at_diagnosis"].between(18, 89).all()


def test_expression_holds_the_packaged_panel_on_a_log2_scale(cohort: Path, clinical: pd.DataFrame) -> None:
    table = pd.read_csv(cohort / "expression.tsv.gz", sep="\t", index_col="gene_symbol")
    assert tuple(table.index) == vocabulary(packaged_panel())
    assert set(table.columns) <= set(clinical["case_id"])
    assert table.to_numpy().min() >= 0
    assert table.to_numpy().max() <= 20


def test_the_packed_table_carries_no_time(cohort: Path) -> None:
    with gzip.open(cohort / "expression.tsv.gz") as packed:
        packed.read(1)
        assert packed.mtime == 0


def test_hospitals_without_a_modality_have_no_rows(cohort: Path) -> None:
    slides = pd.read_csv(cohort / "slides.tsv", sep="\t", dtype=str)
    blood = pd.read_csv(cohort / "blood.csv", dtype={"case_id": str})
    assert not slides["case_id"].str.startswith("TCGA-02-").any()
    assert not blood["case_id"].str.startswith("TCGA-CC-").any()
    assert {f"{slide}.svs" for slide in slides["slide_id"]} == {path.name for path in cohort.glob("slides/*.svs")}
    assert list(blood.columns) == [
        "case_id",
        "analyte",
        "value",
        "unit",
        "ref_low",
        "ref_high",
        "collected",
        "laboratory",
    ]


def test_the_panel_has_22_analytes_and_six_groups() -> None:
    assert len(blood_panel()) == len({analyte.loinc for analyte in blood_panel()}) == 22
    for analyte in blood_panel():
        digits, check = analyte.loinc.split("-")
        assert int(check) == _mod10(digits), f"{analyte.name}: a LOINC code ends with its check digit"
    sizes = {name: len(genes) for name, genes in packaged_panel().items()}
    assert len(sizes) == 6
    assert all(16 <= size <= 20 for size in sizes.values())


def _mod10(digits: str) -> int:
    """LOINC's check digit (Luhn): every second digit from the right doubled, digit sums added up."""
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits))]
    return -sum(value // 10 + value % 10 for value in doubled) % 10


def test_blood_uses_the_panel_and_sane_intervals(blood: pd.DataFrame) -> None:
    assert set(blood["analyte"]) == {analyte.loinc for analyte in blood_panel()}
    assert (blood["ref_low"] < blood["ref_high"]).all()
    assert (blood["value"] > 0).all()
    assert blood["collected"].between(-21, 7).all()
    outside = (blood["value"] < blood["ref_low"]) | (blood["value"] > blood["ref_high"])
    assert 0.1 < outside.mean() < 0.4


def test_intervals_differ_by_sex_and_laboratory(blood: pd.DataFrame) -> None:
    creatinine = blood[blood["analyte"] == "2160-0"]
    for _, laboratory in creatinine.groupby("hospital"):
        assert laboratory.groupby("sex")["ref_high"].nunique().eq(1).all()
        assert laboratory["ref_high"].nunique() == 2
    assert creatinine.groupby("hospital")["ref_high"].max().nunique() > 5


def test_laboratories_differ_in_units_and_scale_value_and_interval_alike(blood: pd.DataFrame) -> None:
    haemoglobin = blood[(blood["analyte"] == "718-7") & (blood["sex"] == "male")]
    assert set(haemoglobin["unit"]) == {"g/dL", "g/L"}
    for unit, low in (("g/dL", 10.0), ("g/L", 100.0)):
        rows = haemoglobin[haemoglobin["unit"] == unit]
        assert rows["ref_low"].between(low, 2 * low).all()
        assert rows["value"].between(0.6 * low, 2.2 * low).all()
    assert haemoglobin.groupby("hospital")["unit"].nunique().eq(1).all()


def test_batch_effects_differ_by_hospital_and_repeat() -> None:
    first, again, other = draw_batch("AA", 0), draw_batch("AA", 0), draw_batch("AB", 0)
    assert np.array_equal(first.shift, again.shift)
    assert np.abs(first.shift - other.shift).mean() > 0.2
