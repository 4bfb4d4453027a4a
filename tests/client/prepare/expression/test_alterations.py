import numpy as np
import pytest

from client.prepare.expression.alterations import aux_table
from client.prepare.patients import read_roster

CLINICAL = "case_id\na\nb\nc\n"
MAF = "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\n"
GISTIC = "Gene Symbol\tLocus ID\tCytoband\ta\tb\nEGFR\t1956\t7p11.2\t2\t-1\nMET|chr7\t-2\t7q31.2\t0\t\n"


@pytest.fixture
def altered(make_site, report):
    def make(files, columns, sections=""):
        site = make_site({"clinical.tsv": CLINICAL, **files}, sections)
        return aux_table(site, read_roster(site), columns, report)

    return make


def test_tables_fill_the_columns_of_the_study(altered, report, rows):
    table = altered(
        {"mutations.tsv": "case_id\tTP53\tIDH1\nb\t1\t\nx\t0\t1\na\t0\t1\n"},
        ("mutations:IDH1", "mutations:NONE", "copy_number:EGFR", "mutations:TP53"),
    )
    np.testing.assert_array_equal(table.values, [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    np.testing.assert_array_equal(table.observed, [[1, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]])
    assert rows(report) == [
        ("mutations.tsv", "left out", "x", "not in clinical.tsv"),
        ("mutations.tsv", "noted", "", "1 of 3 genes not observed, not there: NONE"),
        ("mutations.tsv", "used", "", "2 patients, 2 of 3 genes"),
    ]


def test_a_maf_and_gistics_table_are_read(altered, report, rows):
    maf = MAF + "EGFR\tMissense_Mutation\ta\nMLL\tSilent\tb\nMLL\tSplice_Site\ta\n"
    table = altered(
        {"mutations.maf": maf, "all_thresholded.by_genes.txt": GISTIC, "aliases.tsv": "alias\tsymbol\nMLL\tKMT2A\n"},
        ("mutations:EGFR", "mutations:KMT2A", "copy_number:MET", "copy_number:EGFR"),
        '[expression]\naliases = "data/aliases.tsv"\n',
    )
    np.testing.assert_array_equal(table.values, [[1, 1, 0, 2], [0, 0, 0, -1], [0, 0, 0, 0]])
    np.testing.assert_array_equal(table.observed, [[1, 1, 1, 1], [1, 1, 0, 1], [0, 0, 0, 0]])
    assert [row.file for row in report.rows] == ["mutations.maf", "all_thresholded.by_genes.txt"]


def test_a_mutation_in_either_of_two_columns_counts(altered):
    table = altered(
        {"mutations.csv": "id,MLL,KMT2A\na,1,0\nb,0,0\n", "aliases.tsv": "alias\tsymbol\nMLL\tKMT2A\n"},
        ("mutations:KMT2A",),
        '[expression]\naliases = "data/aliases.tsv"\n',
    )
    np.testing.assert_array_equal(table.values[:, 0], [1, 0, 0])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("case_id\tTP53\na\t1\na\t0\n", "line 3: expected every patient once, got one again; remove one"),
        ("case_id\tTP53\na\tyes\n", "line 2, column 2: expected a finite number, got 'yes'; correct it"),
    ],
)
def test_a_malformed_table_costs_only_itself(altered, rows, report, text, why):
    columns = ("mutations:TP53", "copy_number:EGFR")
    table = altered({"mutations.tsv": text, "copy_number.tsv": "case_id\tEGFR\na\t2\n"}, columns)
    np.testing.assert_array_equal(table.observed, [[0, 1], [0, 0], [0, 0]])
    assert rows(report)[0] == ("mutations.tsv", "left out", "", f"data/mutations.tsv: 1 fault; {why}")


def test_another_table_of_genes_by_samples_is_not_gistics(altered, report):
    altered({"all_thresholded.by_genes.txt": "gene\ta\nEGFR\t1\n"}, ("copy_number:EGFR",))
    assert "line 1: expected 'Gene Symbol' first, got others; copy GISTIC's own file" in report.rows[0].reason


def test_a_study_without_such_columns_reads_nothing(altered, report):
    assert altered({"mutations.tsv": "broken"}, ()).values.shape == (3, 0)
    assert report.rows == []
