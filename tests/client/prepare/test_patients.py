import pytest

from client.prepare.patients import mapped_clinical, read_roster
from shared.cohort.store_files import patient_key, site_salt
from shared.cohort.tables import read_clinical
from shared.errors import CohortError

CLINICAL = "case_id\tdays\tgrading\tsite\nb\t304.4\tIII\t06\na\t\tII\t002\nc\t30.44\t\t06\n"
RULES = """
[columns]
os_months = "days / 30.44"
grade = "grading"
[values.grade]
II = "G2"
III = "G3"
"""


def test_columns_and_values_are_mapped(make_site):
    roster = read_roster(make_site({"clinical.tsv": CLINICAL}, RULES))
    assert roster.case_ids == ["a", "b", "c"]
    assert roster.table["grade"].tolist() == ["G2", "G3", ""]
    assert [value and float(value) for value in roster.table["os_months"]] == ["", pytest.approx(10), pytest.approx(1)]
    assert roster.table["site"].tolist() == ["002", "06", "06"]
    assert roster.table["days"].tolist() == ["", "304.4", "30.44"]


def test_keys_are_those_of_the_sites_salt(make_site):
    site = make_site({"clinical.tsv": CLINICAL})
    roster = read_roster(site)
    assert roster.keys["a"] == patient_key(site_salt(site.state), "a")
    assert len(set(roster.keys.values())) == 3


def test_excluded_patients_are_left_out_and_are_no_strangers(make_site):
    roster = read_roster(make_site({"clinical.tsv": CLINICAL, "exclude.csv": "case_id,date,reason\nb,2025-01-01,\n"}))
    assert roster.case_ids == ["a", "c"]
    assert list(roster.excluded) == ["b"]
    assert roster.strangers(["a", "b", "x"]) == ["x"]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            '[columns]\nos_months = "dayz / 30.44"\n',
            r"expected the column 'dayz', .*'os_months', got none; correct \[col",
        ),
        ('[values.stage]\nI = "1"\n', "expected the column 'stage', from which the site file makes 'stage'"),
        ('[columns]\nos_months = "grading / 30.44"\n', "column 'grading': expected numbers, .*'os_months', got 'II'"),
    ],
)
def test_rules_that_do_not_fit_are_refused(make_site, sections, message):
    site = make_site({"clinical.tsv": CLINICAL}, sections)
    with pytest.raises(CohortError, match=message):
        mapped_clinical(read_clinical(site.data), site)
