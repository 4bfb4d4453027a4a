import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.blood.results import Result
from client.prepare.blood.template import NONE_ABNORMAL, abnormal, describe
from shared.cohort.blood import blood_panel

ALP, CRP, HGB, RATIO, CA = "6768-6", "1988-5", "718-7", "1759-0", "17861-6"
CODES = [analyte.loinc for analyte in blood_panel()]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            Result(ALP, 312, 45, 125),
            "Alkaline phosphatase is elevated (312 U/L, reference 45-125), 2.5 times the upper limit.",
        ),
        (Result(HGB, 8.4, 12, 16), "Hemoglobin is reduced (8.4 g/dL, reference 12-16), 0.7 times the lower limit."),
        (
            Result(CRP, 0.00012, 0, 0.0001),
            "C reactive protein is elevated (0.00012 mg/L, reference 0-0.0001), 1.2 times",
        ),
        (Result(RATIO, 2.5, 1.1, 2), "Albumin/Globulin ratio is elevated (2.5, reference 1.1-2), 1.25 times the upper"),
        (
            Result(CRP, 200, 0, 5, ">"),
            "C reactive protein is elevated (above 200 mg/L, reference 0-5), more than 40 times the upper limit.",
        ),
        (Result(HGB, 6, 12, 16, "<"), "Hemoglobin is reduced (below 6 g/dL, reference 12-16), less than 0.5 times the"),
        (
            Result(ALP, 123456, 45, 125),
            "Alkaline phosphatase is elevated (123500 U/L, reference 45-125), 988 times the",
        ),
        (Result(CA, 2.6 * 4.0078, 8.6, 10.2), "Calcium is elevated (10.42 mg/dL, reference 8.6-10.2), 1.02 times the"),
    ],
)
def test_sentence(row, text):
    assert describe([row]).startswith(text)


def test_normal_results_are_not_named():
    rows = [Result(ALP, 312, 45, 125), Result(HGB, 14, 12, 16), Result(CRP, 3, 0, 5, "<")]
    assert abnormal(rows) == (rows[0],)
    assert "Hemoglobin" not in describe(rows)
    assert describe(rows[1:]) == NONE_ABNORMAL == "No abnormal blood biomarkers."


def test_limits_at_the_end_of_the_interval():
    assert abnormal([Result(CRP, 5, 0, 5, ">")])  # at least 5 and a little
    assert abnormal([Result(HGB, 12, 12, 16, "<")])
    assert not abnormal([Result(CRP, 5, 0, 5, "<"), Result(CRP, 5, 0, 5), Result(HGB, 12, 12, 16)])


@given(st.sampled_from(CODES), st.floats(0, 1e6), st.floats(0, 1e4), st.floats(1e-3, 1e4))
def test_a_result_is_named_when_it_lies_outside(code, value, low, width):
    row = Result(code, value, low, low + width)
    text = describe([row, row])
    assert (text == NONE_ABNORMAL) == (row.low <= value <= row.high)
    assert ("elevated" in text) == (value > row.high)
    assert text == describe([row, row])
    assert "e+" not in text
