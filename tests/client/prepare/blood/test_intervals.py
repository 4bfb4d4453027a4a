import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.blood.intervals import Person, parse_interval, read_intervals
from shared.cohort.blood import blood_panel
from shared.errors import CohortError

PANEL = {analyte.name: analyte for analyte in blood_panel()}
HEADER = "analyte,unit,sex,age_low,age_high,ref_low,ref_high\n"
CLINICAL = "case_id\na\n"


def table(make_site, report, *lines, header=HEADER):
    site = make_site(
        {"clinical.tsv": CLINICAL, "limits.csv": header + "".join(f"{line}\n" for line in lines)},
        '[blood]\nintervals = "data/limits.csv"\n',
    )
    return read_intervals(site, report)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [("40", "80", (40.0, 80.0)), ("", "5", (0.0, 5.0)), ("", "<5", (0.0, 5.0)), (">1.2", "3,5", (1.2, 3.5))],
)
def test_interval_of_a_row(low, high, expected):
    assert parse_interval(low, high) == expected


@pytest.mark.parametrize(
    ("low", "high", "match"),
    [
        ("40", "", "expected an upper limit, got '40' to ''; write the laboratory's interval"),
        ("80", "80", "expected 0 <= ref_low < ref_high, got '80' to '80'"),
        ("-1", "5", "expected 0 <= ref_low < ref_high, got '-1' to '5'"),
        ("", "0", "expected 0 <= ref_low < ref_high, got '' to '0'"),
        ("low", "5", "expected a number as ref_low, got 'low'"),
        ("1,234", "2000", "expected one way to read the ref_low"),
    ],
)
def test_intervals_that_cannot_be_used(low, high, match):
    with pytest.raises(CohortError, match=match):
        parse_interval(low, high)


@given(st.text(max_size=8), st.text(max_size=8))
def test_any_two_texts_enclose_something_or_are_refused(low, high):
    try:
        start, end = parse_interval(low, high)
    except CohortError:
        return
    assert 0 <= start < end < float("inf")


@pytest.mark.parametrize(
    ("sex", "age", "person"),
    [
        ("Female", "54", Person("female", 54.0)),
        ("m", "54.5", Person("male", 54.5)),
        ("", "", Person()),
        ("unknown", "old", Person()),
    ],
)
def test_person_from_the_words_of_clinical_tsv(sex, age, person):
    assert Person.of(sex, age) == person


def test_the_closest_line_of_the_table_counts(make_site, report):
    limits = table(
        make_site,
        report,
        "CREA,umol/L,,,,40,110",
        "CREA,umol/L,f,,,41,88",
        "CREA,umol/L,male,,,50,104",
        "2160-0,mg/dL,female,70,,0.5,1.5",
    )
    find = lambda person: limits.find(PANEL["Creatinine"], person)  # noqa: E731
    assert find(Person("female", 40.0)) == pytest.approx((41 / 88.4, 88 / 88.4), rel=1e-4)
    assert find(Person("female", 70.0)) == (0.5, 1.5)  # the age is named too; age_low is inside
    assert find(Person("male")) == pytest.approx((50 / 88.4, 104 / 88.4), rel=1e-4)
    assert find(Person()) == pytest.approx((40 / 88.4, 110 / 88.4), rel=1e-4)
    assert report.rows == []


def test_the_age_a_line_ends_at_is_outside(make_site, report):
    limits = table(make_site, report, "ALP,U/L,,0,18,100,400", "ALP,U/L,,18,,40,120")
    assert limits.find(PANEL["ALP"], Person(age=17.9)) == (100.0, 400.0)
    assert limits.find(PANEL["ALP"], Person(age=18.0)) == (40.0, 120.0)
    with pytest.raises(CohortError, match="for the patient's sex and age, in the site's table, got none"):
        limits.find(PANEL["ALP"], Person())


def test_lines_that_differ_are_not_chosen_between(make_site, report):
    limits = table(make_site, report, "ALP,U/L,,,,40,120", "ALP,U/L,,,,40,130", "ALB,g/L,,,,35,50", "ALB,g/L,,,,35,50")
    with pytest.raises(CohortError, match="expected one interval of ALP in the site's table, got lines 2 and 3 that"):
        limits.find(PANEL["ALP"], Person())
    assert limits.find(PANEL["ALB"], Person()) == pytest.approx((3.5, 5.0))


def test_lines_that_cannot_be_used_are_recorded(make_site, report):
    limits = table(
        make_site,
        report,
        "ALP,mg/L,,,,40,120",
        "ALP,U/L,x,,,40,120",
        "ALP,U/L,,20,10,40,120",
        "ALP,U/L,,,,40,",
        "Ferritin,ug/L,,,,20,300",
    )
    assert limits.lines == {}
    assert [(row.file, row.state, row.reason.split(";")[0]) for row in report.rows] == [
        ("limits.csv", "left out", "line 2: expected a unit of ALP, e.g. U/L, got 'mg/L'"),
        ("limits.csv", "left out", "line 3: expected sex female, male or nothing, got 'x'"),
        ("limits.csv", "left out", "line 4: expected age_low below age_high, got '20' and '10'"),
        ("limits.csv", "left out", "line 5: expected an upper limit, got '40' to ''"),
        ("limits.csv", "noted", "1 lines of 'Ferritin', which is not in the panel"),
    ]


def test_sex_and_age_columns_are_optional(make_site, report):
    limits = table(make_site, report, "CRP,mg/L,,<5", header="analyte,unit,ref_low,ref_high\n")
    assert limits.find(PANEL["CRP"], Person()) == (0.0, 5.0)


@pytest.mark.parametrize("content", [None, "", "analyte,unit\nALP,U/L\n", "analyte,unit,ref_low,ref_high\nALP,U/L,1\n"])
def test_a_table_that_cannot_be_read_is_recorded_and_the_work_goes_on(make_site, report, content):
    files = {"clinical.tsv": CLINICAL} | ({} if content is None else {"limits.csv": content})
    site = make_site(files, '[blood]\nintervals = "data/limits.csv"\n')
    assert read_intervals(site, report).lines == {}
    assert [(row.file, row.state) for row in report.rows] == [("limits.csv", "left out")]


def test_a_site_without_a_table(make_site, report):
    assert read_intervals(make_site({"clinical.tsv": CLINICAL}), report).lines == {}
    assert report.rows == []
