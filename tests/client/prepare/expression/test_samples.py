import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.expression.samples import Kind, assign, kind_of_words, take
from client.prepare.patients import read_roster

CASES = ["TCGA-02-0001", "TCGA-02-0003", "P1", "P1.2"]


def test_a_sample_belongs_to_the_patient_whose_name_it_begins_with():
    samples = assign(["TCGA-02-0001-01A-01R-1849-01", "TCGA-02-00033-01A", "P1_b", "P12", "P1"], CASES)
    assert {case: [s.name for s in found] for case, found in samples.tumour.items()} == {
        "P1": ["P1", "P1_b"],
        "TCGA-02-0001": ["TCGA-02-0001-01A-01R-1849-01"],
    }
    assert samples.strangers == ("P12", "TCGA-02-00033-01A")


def test_a_sample_that_fits_two_patients_belongs_to_neither():
    samples = assign(["P1.2-a", "P1.2"], CASES)
    assert samples.ambiguous == ("P1.2-a",)
    assert [s.name for s in samples.tumour["P1.2"]] == ["P1.2"]


def test_primary_tumours_come_first_then_names_and_normal_tissue_never():
    names = [f"TCGA-02-0001-{code}" for code in ("11A", "02A", "01B", "01A", "06", "10A-01D", "20A")]
    samples = assign(names, CASES)
    assert [s.name[13:] for s in samples.tumour["TCGA-02-0001"]] == ["01A", "01B", "02A", "06"]
    assert [s.name[13:] for s in samples.normal] == ["10A-01D", "11A", "20A"]


def test_numbers_are_sample_types_in_barcodes_only():
    assert [s.kind for s in assign(["P1-11"], CASES).tumour["P1"]] == [Kind.OTHER]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Primary Tumor", Kind.PRIMARY),
        ("Primary Blood Derived Cancer - Bone Marrow", Kind.PRIMARY),
        ("Recurrent Tumor", Kind.OTHER),
        ("Metastatic", Kind.OTHER),
        ("", Kind.OTHER),
        ("Solid Tissue Normal", Kind.NORMAL),
        ("Blood Derived Normal", Kind.NORMAL),
        ("Control Analyte", Kind.NORMAL),
    ],
)
def test_sample_types_in_words(words, kind):
    assert kind_of_words(words) is kind


def test_every_sample_that_is_not_taken_has_a_row(make_site, report, rows):
    site = make_site(
        {
            "clinical.tsv": "case_id\nTCGA-02-0001\nTCGA-02-0003\nTCGA-02-0004\n",
            "exclude.csv": "case_id,date,reason\nTCGA-02-0004,,\n",
        }
    )
    names = [f"TCGA-02-{name}" for name in ("0001-02A", "0001-01A", "0001-11A", "0003-11A", "0004-01A", "0009-01A")]
    assert take(names, read_roster(site), "t.tsv", report) == {"TCGA-02-0001": "TCGA-02-0001-01A"}
    normal = "normal tissue or a control, which never stands for a tumour"
    longer = "1 samples stand for the patient whose case_id they begin with, such as 'TCGA-02-0001-01A'"
    other = "another sample of the patient was taken: a primary tumour first, then the first by name"
    assert rows(report) == [
        ("t.tsv", "left out", "TCGA-02-0009-01A", "not in clinical.tsv"),
        ("t.tsv: TCGA-02-0001-11A", "noted", "TCGA-02-0001", normal),
        ("t.tsv: TCGA-02-0003-11A", "left out", "TCGA-02-0003", normal),
        ("t.tsv: TCGA-02-0001-02A", "noted", "TCGA-02-0001", other),
        ("t.tsv", "noted", "", longer),
    ]


NAMES = st.sets(st.text("AB1-._", min_size=1, max_size=6), max_size=8)


@given(NAMES, NAMES)
def test_every_name_has_one_place_whatever_its_order(names, cases):
    samples = assign(sorted(names), sorted(cases))
    placed = [s.name for group in samples.tumour.values() for s in group]
    placed += [s.name for s in samples.normal] + list(samples.strangers) + list(samples.ambiguous)
    assert sorted(placed) == sorted(names)
    assert samples == assign(sorted(names, reverse=True), cases)
    assert names & cases <= {name for group in samples.tumour.values() for name in (s.name for s in group)}
