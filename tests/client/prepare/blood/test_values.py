import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.blood.values import Reading, has_decimal_comma, parse_limit, parse_value, shown
from shared.errors import CohortError


@pytest.mark.parametrize(
    ("text", "number", "bound"),
    [
        ("12.5", 12.5, ""),
        (" 7 ", 7.0, ""),
        (".5", 0.5, ""),
        ("1e3", 1000.0, ""),
        ("\u22123", -3.0, ""),  # a minus sign as Word writes it
        ("<0.3", 0.3, "<"),
        ("< 0.3", 0.3, "<"),
        ("<=0.3", 0.3, "<"),
        (">1000", 1000.0, ">"),
        ("≥5", 5.0, ">"),
        ("≤\u00a05", 5.0, "<"),
        ("12.5 *H", 12.5, ""),
        ("12.5*", 12.5, ""),
        ("312 HH", 312.0, ""),
        (">1000 H", 1000.0, ">"),
        ("12,5", 12.5, ""),  # one digit after it: no thousands mark
        ("0,123", 0.123, ""),  # nothing but a zero before it
        ("1234,567", 1234.567, ""),
        ("1,234.5", 1234.5, ""),
        ("1.234,5", 1234.5, ""),
        ("1,234,567", 1234567.0, ""),
        ("1.234.567", 1234567.0, ""),
        ("1.234", 1.234, ""),
    ],
)
def test_results_that_have_one_reading(text, number, bound):
    assert parse_value(text) == Reading(number, bound)


@pytest.mark.parametrize("text", ["1,234", "12,345", "-1,234", "<1,234"])
def test_a_comma_before_three_digits_has_two_readings(text):
    with pytest.raises(CohortError, match="expected one way to read the value, got '.*'; write it without thousands"):
        parse_value(text)


def test_a_dot_before_three_digits_has_two_readings_in_a_file_with_decimal_commas():
    assert parse_value("0.234", decimal_commas=True).number == 0.234
    assert parse_value("12.34", decimal_commas=True).number == 12.34
    with pytest.raises(CohortError, match="expected one way to read the value, got '1.234'"):
        parse_value("1.234", decimal_commas=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "negative",
        "hemolysed",
        "H",
        "*",
        "1-Mar",
        "5 mg/L",
        "312H",
        "5+",
        "3-5",
        "<",
        "12,34,5",
        "1,23.4",
        "inf",
        "nan",
    ]
    + ["1e999", "٣", "1_000", "0x1F", "1 234", "> <5", "1..2"],
)
def test_everything_else_is_refused(text):
    with pytest.raises(CohortError, match="expected a number as value, got .*; correct it"):
        parse_value(text)


def test_a_long_text_is_not_quoted():
    with pytest.raises(CohortError, match="got a text of 31 characters"):
        parse_value("sample of Ms Example hemolysed!")
    assert shown("short") == "'short'"


@pytest.mark.parametrize(
    ("text", "side", "number"),
    [("5", "<", 5.0), ("<5", "<", 5.0), ("≤ 5", "<", 5.0), ("<=5", "<", 5.0), (">0,5", ">", 0.5)],
)
def test_a_limit_may_carry_its_own_sign(text, side, number):
    assert parse_limit(text, "ref_high", side) == number


def test_a_limit_with_the_other_sign_is_refused():
    with pytest.raises(CohortError, match="expected a number as ref_high, got '>5'"):
        parse_limit(">5", "ref_high", "<")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1.5", "7"], False),
        (["1.5", "1,234"], False),
        (["x, y", "1,5,2"], False),
        (["<0,3 H"], True),
        (["7", "12,5"], True),
    ],
)
def test_decimal_commas_are_noticed_where_nothing_else_fits(texts, expected):
    assert has_decimal_comma(texts) == expected


@given(
    st.text(max_size=24)
    | st.from_regex(r"[<>≤]?[-+]?[0-9]{1,4}[.,][0-9]{0,4}([.,][0-9]{3})? ?[*HL]{0,2}", fullmatch=True)
)
def test_any_text_is_a_finite_number_or_refused(text):
    try:
        reading = parse_value(text)
    except CohortError:
        return
    assert math.isfinite(reading.number)
    assert any(digit in text for digit in "0123456789")


@given(st.floats(-1e6, 1e6, allow_nan=False))
def test_plain_numbers_come_back(number):
    assert parse_value(repr(number)).number == number


@given(st.integers(0, 10**9), st.integers(0, 99))
def test_thousands_marks_and_decimal_marks_agree(whole, cents):
    english, german = f"{whole:,}.{cents:02d}", f"{whole:,}".replace(",", ".") + f",{cents:02d}"
    assert parse_value(english).number == parse_value(german).number == float(f"{whole}.{cents:02d}")
