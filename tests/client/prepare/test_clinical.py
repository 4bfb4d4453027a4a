import numpy as np
import pytest

from client.prepare.clinical import clinical_table
from client.prepare.patients import read_roster

COLUMNS = (("age_at_diagnosis", 50.0, 10.0), ("sex", 0.0, 1.0), ("karnofsky", 80.0, 20.0))
CLINICAL = "case_id\tage_at_diagnosis\tsex\na\t65\tMale\nb\t45.5\tf\nc\tNA\tunknown\nd\told\t\n"


AGE = "a number from 0 to 120, as [columns] of the site file can make it"


def test_columns_are_scaled_by_public_constants(make_site, report):
    table = clinical_table(read_roster(make_site({"clinical.tsv": CLINICAL})), COLUMNS, report)
    np.testing.assert_allclose(table.values, [[1.5, 1, 0], [-0.45, 0, 0], [0, 0, 0], [0, 0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(table.observed, [[1, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0]])
    assert table.columns == ("age_at_diagnosis", "sex", "karnofsky")


def test_words_where_numbers_belong_are_recorded(make_site, report):
    clinical_table(read_roster(make_site({"clinical.tsv": CLINICAL})), COLUMNS, report)
    assert [(row.state, row.case_id, row.reason) for row in report.rows] == [
        ("left out", "d", f"age_at_diagnosis: expected {AGE}, got 'old'; correct it"),
        ("left out", "c", "sex: expected male or female, got 'unknown'; correct it"),
        ("noted", "", "no column 'karnofsky': not observed; name its source in [columns] of the site file"),
    ]


@pytest.mark.parametrize("age", ["-3", "999", "21535", "5_2", "0x1A", "inf"])
def test_an_age_that_nobody_has_is_not_observed(make_site, report, age):
    site = make_site({"clinical.tsv": f"case_id\tage_at_diagnosis\na\t{age}\nb\t61\n"})
    table = clinical_table(read_roster(site), (("age_at_diagnosis", 50.0, 10.0),), report)
    assert table.observed[:, 0].tolist() == [False, True]
    assert [(row.case_id, row.state) for row in report.rows] == [("a", "left out")]
