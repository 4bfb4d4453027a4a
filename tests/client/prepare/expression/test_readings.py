import numpy as np
import pandas as pd
import pytest

from client.prepare.expression.gene_names import GeneNames
from client.prepare.expression.readings import readings_of, reason
from client.prepare.patients import read_roster
from shared.errors import CohortError

TABLE = pd.DataFrame(
    {"x": [9.0] * 5, "b": [1.0, np.nan, 5.0, 2.0, 80.0], "a": [3.0, 4.0, 6.0, 1.0, 90.0]},
    index=["OLD", "NEW", "EGFR", "REST", "__no_feature"],
)


@pytest.fixture
def readings(make_site, report):
    roster = read_roster(make_site({"clinical.tsv": "case_id\na\nb\n"}))
    return readings_of(TABLE, "e.tsv", GeneNames({}, {"OLD": "NEW"}), ("NEW", "EGFR"), roster, report)


def test_the_studys_rows_and_patients_are_taken(readings):
    assert (readings.rows.symbols, readings.case_ids) == (("NEW", "NEW", "EGFR"), ("a", "b"))
    np.testing.assert_array_equal(readings.values, [[3, 1], [4, np.nan], [6, 5]])


def test_totals_are_over_all_genes_but_not_over_reads_of_no_gene(readings):
    np.testing.assert_array_equal(readings.totals, [3 + 4 + 6 + 1, 1 + 5 + 2])


@pytest.mark.parametrize(("rule", "new"), [("mean", [3.5, 1]), ("max", [4, 1]), ("first", [3, 1])])
def test_rows_of_one_gene_are_merged_by_the_rule(readings, rule, new):
    merged = readings.merged(rule)
    np.testing.assert_array_equal(merged.loc["NEW"], new)
    np.testing.assert_array_equal(merged.loc["EGFR"], [6, 5])


def test_a_reason_is_one_line_with_paths_from_the_site_file(make_site):
    site = make_site({})
    exc = CohortError(f"{site.data / 'e.tsv'}: 1 fault\n  line 2: expected a number")
    assert reason(exc, site) == "data/e.tsv: 1 fault; line 2: expected a number"
