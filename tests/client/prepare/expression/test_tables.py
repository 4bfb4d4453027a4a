from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.expression.tables import aux_table, constant_genes, expression_table
from client.prepare.patients import read_roster
from client.prepare.report import PrepareReport
from shared.cohort.tables import read_expression, read_patients_by_genes
from shared.site import read_site

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


@pytest.mark.parametrize(
    ("scale", "text", "why"),
    [
        (
            "tpm",
            "g\ta\nTP53\t-1\n",
            """expression.scale = 'tpm', got -1; write scale = "log2" or "z" if that is what""",
        ),
        ("log2", "g\ta\tb\nX\t0\t2\nY\t900\t500\n", 'got 0 to 900 with 50% of cells outside; write scale = "tpm"'),
        ("z", "g\ta\tb\nX\t0\t2\nY\t900\t500\n", 'got 0 to 900 with 50% of cells outside; write scale = "tpm"'),
        ("z", "g\ta\nTP53\t1,5\n", "line 2, column 2: expected a finite number, got '1,5'; export the table with dec"),
        ("z", "g\ta\nTP53\tlow\n", "line 2, column 2: expected a finite number, got 'low'; correct it"),
        ("z", "g\ta\tb\nTP53\t1\n", "line 2: expected 3 cells, got 2; mend the line"),
        ("z", "g\ta\ta\nTP53\t1\t2\n", "line 1, column 3: expected distinct names, got that of column 2 again"),
        ("z", "", "expected a header line, got an empty file"),
    ],
)
def test_a_malformed_table_is_left_out_with_its_reason(make_site, report, scale, text, why):
    table = scaled(make_site, report, scale, ("TP53",), text)
    assert not table.observed.any()
    (row,) = report.rows
    assert (row.file, row.state) == ("expression.tsv", "left out")
    assert why in row.reason


def test_samples_of_a_xena_matrix_stand_for_their_patients(make_site, report, rows):
    site = make_site(
        {
            "clinical.tsv": "case_id\nTCGA-02-0001\nTCGA-02-0003\n",
            "expression.csv": "Ensembl_ID,TCGA-02-0001-02A,TCGA-02-0001-01A,TCGA-02-0003-01A\n"
            "ENSG00000141510.18,1,2,3\nENSG00000141510.2,1,4,5\nENSG00000002586.20_PAR_Y,0,0,0\n",
            "ids.csv": "id,gene\nENSG00000141510.18,TP53\n",
        },
        '[expression]\nensembl = "data/ids.csv"\n',
    )
    table = expression_table(site, read_roster(site), ("TP53",), report)
    np.testing.assert_array_equal(table.values, [[3], [4]])
    assert [(file, state, reason) for file, state, _, reason in rows(report)][2:] == [
        ("expression.csv", "noted", "1 rows _PAR_Y not used: their reads are counted on chromosome X"),
        ("expression.csv", "noted", "2 rows merged into 1 genes, the mean of their values as written: TP53"),
        ("expression.csv", "used", "2 patients, 1 of 1 genes"),
    ]


def test_rows_of_one_gene_are_merged_before_the_logarithm(make_site, report):
    table = scaled(make_site, report, "tpm", ("TP53",), "g\ta\tb\nTP53\t1\t0\nTP53\t5\t2\n")
    np.testing.assert_array_equal(table.values[:2, 0], [2, 1])  # log2(3 + 1), log2(1 + 1); not log2 2 + log2 6


def test_names_that_a_spreadsheet_destroyed_are_left_out(make_site, report):
    table = scaled(make_site, report, "z", ("TP53",), "g\ta\tb\nTP53\t1\t0\n1-Mar\t5\t2\n1-Mar\t4\t2\n")
    np.testing.assert_array_equal(table.observed[:2, 0], [True, True])
    assert [row.reason[:76] for row in report.rows if row.state == "left out"] == [
        "2 gene names turned into dates or numbers by a spreadsheet: 1-Mar, 1-Mar; ex"
    ]


def test_a_table_of_names_that_is_missing_costs_expression(make_site, report):
    site = make_site({"clinical.tsv": CLINICAL, "expression.tsv": EXPRESSION}, '[expression]\nensembl = "ids.tsv"\n')
    assert not expression_table(site, read_roster(site), ("TP53",), report).observed.any()
    assert report.rows[0].reason.startswith("ids.tsv: expected the table that [expression] ensembl")


def test_a_site_without_the_table_observes_nothing(make_site, report):
    site = make_site({"clinical.tsv": CLINICAL})
    table = expression_table(site, read_roster(site), ("TP53",), report)
    assert table.observed.shape == (4, 1)
    assert not table.observed.any()


WORDS = [
    "TP53",
    "1-Mar",
    "",
    "ENSG00000141510.18",
    "ENSG00000002586.20_PAR_Y",
    "a",
    "b",
    "a-01",
    "__x",
    "1",
    "-2",
    "NA",
]
SHEETS = st.lists(st.lists(st.sampled_from(WORDS), min_size=3, max_size=3), min_size=1, max_size=5)


@given(
    st.one_of(st.text(max_size=20), SHEETS.map(lambda lines: "\n".join("\t".join(cells) for cells in lines))),
    st.sampled_from(["expression.tsv", "mutations.tsv", "all_thresholded.by_genes.txt", "expression/samples.tsv"]),
    st.sampled_from(["tpm", "counts", "log2", "z"]),
)
def test_whatever_a_file_holds_prepare_goes_on(tmp_path_factory, text, name, scale):
    folder = tmp_path_factory.mktemp("any")
    (folder / "data/expression").mkdir(parents=True)
    (folder / "data/expression/1.rna_seq.augmented_star_gene_counts.tsv").write_text("")
    (folder / "data/clinical.tsv").write_text("case_id\na\nb\n")
    (folder / "data" / name).write_text(text, encoding="utf-8")
    (folder / "site.toml").write_text(f'schema = 1\n[site]\nid = "A"\n[expression]\nscale = "{scale}"\n')
    site, report = read_site(folder / "site.toml"), PrepareReport(folder)
    roster = read_roster(site)
    genes, columns = expression_table(site, roster, ("TP53",), report), ("mutations:TP53", "copy_number:TP53")
    altered = aux_table(site, roster, columns, report)
    assert (genes.values.shape, altered.values.shape) == ((2, 1), (2, 2))
    assert np.isfinite(genes.values).all()
    assert report.rows, "nothing is skipped in silence"


TCGA = Path("../shared/data/tcga_gbmlgg")


@pytest.mark.skipif(not TCGA.is_dir(), reason="needs the real tables")
def test_real_tables_are_taken_whole(tmp_path, report):
    (tmp_path / "site.toml").write_text(
        f'schema = 1\n[site]\nid = "A"\ndata = "{TCGA.resolve()}"\n[expression]\nscale = "z"\n'
    )
    site = read_site(tmp_path / "site.toml")
    roster = read_roster(site)
    raw = read_expression(TCGA)
    genes = tuple(sorted(raw.index))
    table = expression_table(site, roster, genes, report)
    np.testing.assert_array_equal(table.values, raw.loc[list(genes), roster.case_ids].to_numpy().T.astype(np.float32))
    assert table.observed.all()
    assert [(row.file, row.state, row.reason) for row in report.rows] == [
        ("expression.tsv.gz", "used", "569 patients, 1544 of 1544 genes")
    ]
    aux = aux_table(site, roster, ("mutations:IDH1", "copy_number:EGFR"), report)
    mutated = read_patients_by_genes(TCGA, "mutations").loc[roster.case_ids, "IDH1"]
    np.testing.assert_array_equal(aux.values[:, 0], mutated)
    assert [row.state for row in report.rows] == ["used"] * 3
