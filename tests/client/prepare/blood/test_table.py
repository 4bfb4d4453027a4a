import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.blood.table import MAX_DISTANCE, blood_table, interval_distance
from client.prepare.patients import read_roster

CLINICAL = "case_id\tsex\na\tmale\nb\tmale\n"
HEADER = "case_id,analyte,value,unit,ref_low,ref_high,collected\n"
ALP, CRP = "6768-6", "1988-5"


def distances(make_site, report, *lines):
    site = make_site({"clinical.tsv": CLINICAL, "blood.csv": HEADER + "".join(f"{line}\n" for line in lines)})
    return blood_table(site, read_roster(site), (ALP, CRP), report)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(30.0, -0.25), (40.0, 0.0), (60.0, 0.0), (80.0, 0.0), (120.0, 1.0), (1e9, MAX_DISTANCE), (-1e9, -MAX_DISTANCE)],
)
def test_distance_in_interval_widths(value, expected):
    assert interval_distance(value, 40.0, 80.0) == expected


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_distance_has_the_side_of_the_value(value, low, width):
    high = low + width
    distance = interval_distance(value, low, high)
    assert (distance > 0) == (value > high)
    assert (distance < 0) == (value < low)
    assert abs(distance) <= MAX_DISTANCE


def test_rows_become_one_value_an_analyte(make_site, report):
    table = distances(
        make_site, report, f"a,{ALP},120,U/L,40,80,3", "b,C reactive protein,5,mg/L,0,10,", "b,alp,30,U/L,40,80,0"
    )
    np.testing.assert_array_equal(table.values, [[1, 0], [-0.25, 0]])
    np.testing.assert_array_equal(table.observed, [[1, 0], [1, 1]])
    assert table.columns == (ALP, CRP)
    assert [row.reason for row in report.rows] == ["2 patients, 2 of 2 analytes"]


@pytest.mark.parametrize(
    ("collected", "expected"),
    [
        (("-2", "5", "30"), 0.25),  # the nearest to diagnosis, before or after
        (("", "2025-01-01", ""), 0.75),  # no days: the last
        (("", "9", ""), 0.5),  # days known beat days unknown
        (("3", "-3", "9"), 0.5),  # equally near: the later line
    ],
)
def test_of_several_results_one_counts(make_site, report, collected, expected):
    values = (90, 100, 110)
    rows = [f"a,{ALP},{value},U/L,40,80,{day}" for value, day in zip(values, collected, strict=True)]
    assert distances(make_site, report, *rows).values[0, 0] == expected


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"a,{ALP},high,U/L,40,80,", "line 2: expected a number as value, got 'high'; correct it"),
        (f"a,{ALP},inf,U/L,40,80,", "line 2: expected a number as value, got 'inf'; correct it"),
        (
            f"a,{ALP},70,U/L,,80,",
            "line 2: expected ref_low below ref_high, got '' to '80'; write the laboratory's interval",
        ),
        (f"a,{ALP},70,U/L,80,80,", "line 2: expected ref_low below ref_high, got '80' to '80'; write the laboratory's"),
    ],
)
def test_unusable_rows_are_recorded_with_the_patient(make_site, report, row, reason):
    table = distances(make_site, report, row)
    assert not table.observed.any()
    left_out = report.rows[0]
    assert (left_out.state, left_out.case_id, left_out.file) == ("left out", "a", "blood.csv")
    assert left_out.reason.startswith(reason)
    assert len(left_out.key) == 16


def test_strangers_and_unknown_analytes_are_recorded(make_site, report):
    table = distances(
        make_site, report, f"x,{ALP},70,U/L,40,80,", "a,Ferritin,70,ug/L,40,80,", "b,Ferritin,70,ug/L,40,80,"
    )
    assert not table.observed.any()
    assert [(row.state, row.case_id, row.reason) for row in report.rows[:2]] == [
        ("left out", "x", "not in clinical.tsv"),
        ("noted", "", "2 rows of 'Ferritin', which is not among the study's analytes"),
    ]


def test_a_site_without_blood_observes_nothing(make_site, report):
    site = make_site({"clinical.tsv": CLINICAL})
    table = blood_table(site, read_roster(site), (ALP, CRP), report)
    assert table.observed.shape == (2, 2)
    assert not table.observed.any()
    assert report.rows == []
