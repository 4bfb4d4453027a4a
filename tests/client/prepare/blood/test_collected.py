from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.blood.collected import diagnosis_dates, rank

DIAGNOSED = date(2024, 3, 1)


@pytest.mark.parametrize(
    ("collected", "diagnosed", "expected"),
    [
        ("", DIAGNOSED, (0, 0.0)),
        ("-2", None, (2, -2.0)),
        ("30", DIAGNOSED, (2, -30.0)),
        ("1.5", None, (2, -1.5)),
        ("2024-02-28", DIAGNOSED, (2, -2.0)),  # a leap year
        ("20240304", DIAGNOSED, (2, -3.0)),
        ("2024-03-01T08:15:00", DIAGNOSED, (2, 0.0)),
        ("0001-01-03", None, (1, 3.0)),
        ("yesterday", DIAGNOSED, None),
        ("31.12.2024", DIAGNOSED, None),
        ("2024-02-30", DIAGNOSED, None),
        ("1234567", DIAGNOSED, None),
    ],
)
def test_rank(collected, diagnosed, expected):
    assert rank(collected, diagnosed) == expected


def test_diagnosis_dates_that_are_none():
    assert diagnosis_dates(["2024-03-01", "", "March", "2024-13-01"]) == [DIAGNOSED, None, None, None]


@given(st.dates(), st.dates(), st.dates())
def test_the_nearer_date_ranks_higher(diagnosed, first, second):
    ranks = [rank(day.isoformat(), diagnosed) for day in (first, second)]
    distances = [abs((day - diagnosed).days) for day in (first, second)]
    assert (ranks[0] > ranks[1]) == (distances[0] < distances[1])


@given(st.text(max_size=12), st.none() | st.dates())
def test_any_text_has_a_rank_or_none(text, diagnosed):
    found = rank(text, diagnosed)
    assert found is None or found[0] in (0, 1, 2)
