import numpy as np
import pytest

from client.prepare.expression.tables import aux_table, constant_genes, expression_table
from client.prepare.patients import read_roster
from shared.cohort.tables import read_expression
from shared.errors import CohortError

CLINICAL = "case_id\tsex\na\tmale\nb\tmale\nc\tmale\nd\tmale\n"
EXPRESSION = "gene_symbol\tc\ta\tb\tx\nTP53\t3\t1\t0\t9\nFLAT\t2\t2\t2\t2\nEGFR\t\t7\t15\t1\n"


def scaled(make_site, report, scale, genes, text=EXPRESSION):
    site = make_site({"clinical.tsv": CLINICAL, "expression.tsv": text}, f'[expression]\nscale = "{scale}"\n')
    return expression_table(site, read_roster(site), genes, report)


@pytest.mark.parametrize("scale", ["log2", "z"])
def test_values_are_aligned_with_patients_and_vocabulary(make_site, report, scale):
    table = scaled(make_site, report, scale, ("EGFR", "NONE", "TP53"), EXPRESSION.replace("15", "8"))
    np.testing.assert_array_equal(table.values, [[7, 0, 1], [8, 0, 0], [0, 0, 3], [0, 0, 0]])
    np.testing.assert_array_equal(table.observed, [[1, 0, 1], [1, 0, 1], [0, 0, 1], [0, 0, 0]])
    assert (table.values.dtype, table.observed.dtype) == (np.float32, np.bool_)
    rows = {(row.state, row.case_id, row.reason) for row in report.rows}
    assert rows == {
        ("left out", "x", "not in clinical.tsv"),
        ("noted", "", "1 of 3 genes not observed, not in the table: NONE"),
        ("used", "", "3 patients, 2 of 3 genes"),
    }


def test_tpm_becomes_log2_of_one_more(make_site, report):
    table = scaled(make_site, report, "tpm", ("EGFR", "TP53"))
    np.testing.assert_array_equal(table.values[:3], [[3, 1], [4, 0], [0, 2]])


def test_counts_are_brought_to_a_million_first(make_site, report):
    counts = "gene_symbol\ta\tb\nTP53\t1\t0\nEGFR\t999999\t5\n"  # a: 1 of a million; b: all reads on one gene
    table = scaled(make_site, report, "counts", ("EGFR", "TP53"), counts)
    np.testing.assert_allclose(table.values[:2], [[np.log2(1e6), 1], [np.log2(1e6 + 1), 0]], rtol=1e-6)


def test_a_gene_with_one_value_for_all_is_not_observed(make_site, report):
    table = scaled(make_site, report, "log2", ("FLAT", "TP53"))
    assert not table.observed[:, 0].any()
    assert any(row.reason == "1 of 2 genes not observed, one value for all patients: FLAT" for row in report.rows)


def test_two_patients_do_not_make_a_gene_constant(make_site):
    site = make_site({"expression.tsv": "g\ta\tb\tc\nTWO\t1\t1\t\nTHREE\t1\t1\t1\n"})
    assert constant_genes(read_expression(site.data)) == {"THREE"}


def test_negative_tpm_are_refused(make_site, report):
    with pytest.raises(CohortError, match=r"expected values of 0 and above, .* 'tpm', got -1; write scale"):
        scaled(make_site, report, "tpm", ("TP53",), "gene_symbol\ta\tb\nTP53\t-1\t2\n")


@pytest.mark.parametrize(
    ("scale", "got", "advice"),
    [
        ("log2", "0 to 900 with 50% of cells outside", 'write scale = "tpm" or "counts" in [expression]'),
        ("z", "0 to 900 with 50% of cells outside", 'write scale = "tpm" or "counts" in [expression]'),
    ],
)
def test_a_table_of_another_scale_is_refused(make_site, report, scale, got, advice):
    with pytest.raises(CohortError) as caught:
        scaled(make_site, report, scale, ("TP53",), "gene_symbol\ta\tb\nTP53\t0\t2\nEGFR\t900\t500\n")
    assert f"expression.tsv: 1 fault\n  expected values from {'0 to 20' if scale == 'log2' else '-10 to 10'}" in str(
        caught.value
    )
    assert f"says expression.scale = {scale!r}, got {got}; {advice}" in str(caught.value)


def test_a_site_without_the_table_observes_nothing(make_site, report):
    site = make_site({"clinical.tsv": CLINICAL})
    table = expression_table(site, read_roster(site), ("TP53",), report)
    assert table.observed.shape == (4, 1)
    assert not table.observed.any()


def test_aux_tables_fill_the_columns_of_the_study(make_site, report):
    site = make_site({"clinical.tsv": CLINICAL, "mutations.tsv": "case_id\tTP53\tIDH1\nb\t1\t\nx\t0\t1\na\t0\t1\n"})
    columns = ("mutations:IDH1", "mutations:NONE", "copy_number:EGFR", "mutations:TP53")
    table = aux_table(site, read_roster(site), columns, report)
    np.testing.assert_array_equal(table.values[:2], [[1, 0, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(table.observed, [[1, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert [(row.state, row.case_id) for row in report.rows] == [("left out", "x"), ("used", "")]
