from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.expression.gene_names import GeneNames, is_mangled, some
from shared.cohort.genes import packaged_panel, vocabulary
from shared.errors import CohortError
from shared.site import read_site

TP53 = "ENSG00000141510"
NAMES = GeneNames({TP53: "P53"}, {"P53": "TP53", "1-Mar": "MARCHF1", "MLL": "KMT2A"})


@pytest.mark.parametrize(
    ("label", "symbol"),
    [
        ("EGFR", "EGFR"),
        (TP53, "TP53"),
        (f"{TP53}.18", "TP53"),
        ("ENSG00000146648.17", "ENSG00000146648"),
        ("ENSMUSG00000059552.14", "ENSMUSG00000059552"),
        ("ENSG0000014651", "ENSG0000014651"),
        ("MLL", "KMT2A"),
        ("1-Mar", "MARCHF1"),
        ("", ""),
    ],
)
def test_labels_become_symbols(label, symbol):
    assert NAMES.symbol(label) == symbol


def test_the_sites_mapping_goes_before_the_symbol_beside_the_id():
    assert NAMES.symbol(TP53, "OTHER") == "TP53"
    assert NAMES.symbol("ENSG00000146648.17", "EGFR") == "EGFR"
    assert NAMES.symbol("ENSG00000118058.20", "MLL") == "KMT2A"


DATES = (
    "1-Mar;01-Mar;2-Sep;1-MAR;Mar-01;Sep-02;1-Dec;1.Mrz;1-Mar-01;2001/03/01;2001-03-01;3/1/2001;01.03.2001;2.31E+13;"
    "2,31E+13;1E+05;2-Sept;Oct-2004;01. Mrz;1 Mar;Mar 2001;2001-03-01 00:00:00"
)
GENES = (
    "MARCH1;MARC1;SEPT2;SEPTIN2;SEP15;DEC1;DELEC1;OCT4;HLA-A;NKX2-1;MT-CO1;KRTAP5-1;7SK;5S_rRNA;2310009E13;NOV;MAY1;"
    "RP11-34P13.7;AC007325.4;DEC-205;Y_RNA;1-8U;JUN;1234;ENSG00000141510.18;TRA-AGC1-1;A1BG-AS1"
)


@pytest.mark.parametrize("name", DATES.split(";"))
def test_names_that_a_spreadsheet_made_are_recognised(name):
    assert is_mangled(name)


@pytest.mark.parametrize("name", GENES.split(";"))
def test_gene_names_are_not_taken_for_dates(name):
    assert not is_mangled(name)


def test_no_gene_of_the_panel_is_taken_for_a_date():
    assert [gene for gene in vocabulary(packaged_panel()) if is_mangled(gene)] == []


def test_rows_are_found_in_the_order_of_the_table_and_lost_ones_reported(report, rows):
    labels = ["KMT2A", "2-Sep", "", "MLL", f"{TP53}.18_PAR_Y", f"{TP53}.18", "EGFR", "1-Mar"]
    found = NAMES.rows(labels, {"TP53", "KMT2A", "MARCHF1"})
    np.testing.assert_array_equal(found.positions, [0, 3, 5, 7])
    assert found.symbols == ("KMT2A", "KMT2A", "TP53", "MARCHF1")
    found.record("e.tsv", "max", report)
    assert rows(report) == [
        (
            "e.tsv",
            "left out",
            "",
            "1 gene names turned into dates or numbers by a spreadsheet: 2-Sep; export the table again with gene names "
            "as text, or write what they were into [expression] aliases",
        ),
        ("e.tsv", "left out", "", "1 rows without a gene name; name them"),
        ("e.tsv", "noted", "", "1 rows _PAR_Y not used: their reads are counted on chromosome X"),
        ("e.tsv", "noted", "", "2 rows merged into 1 genes, the largest of their values: KMT2A"),
    ]
    assert NAMES.symbols(labels) == {"KMT2A", "TP53", "EGFR", "MARCHF1"}


def test_an_alias_restores_a_date_only_where_one_row_has_it():
    assert NAMES.rows(["1-Mar", "TP53"], {"MARCHF1"}).symbols == ("MARCHF1",)
    twice = NAMES.rows(["1-Mar", "TP53", "1-Mar"], {"MARCHF1", "1-Mar"})
    assert (twice.symbols, twice.mangled) == ((), ("1-Mar", "1-Mar"))


def test_a_table_of_bare_ids_asks_for_the_mapping(report):
    found = GeneNames().rows([TP53, "ENSG00000146648.17"], {"TP53"})
    found.record("e.tsv", "mean", report)
    assert [row.reason for row in report.rows] == [
        "2 rows are named by Ensembl ids and none by a gene of the study; "
        "give a table of ids and symbols as [expression] ensembl in the site file"
    ]


def test_ids_stay_where_the_study_names_ids():
    assert GeneNames().rows([f"{TP53}.2"], {TP53}).symbols == (TP53,)


SECTION = '[expression]\nensembl = "data/ids.tsv"\naliases = "data/aliases.csv"\n'


@pytest.mark.parametrize("header", ["id\tgene\tchrom\n", ""])
def test_the_sites_tables_are_read_with_or_without_a_header_of_ids(make_site, header):
    ids = f"{header}{TP53}.18\tTP53\t17\n{TP53}.18_PAR_Y\tTP53\tY\nENSG00000000001\tNA\t1\n"
    site = make_site({"ids.tsv": ids, "aliases.csv": "alias,symbol\nMLL,KMT2A\n"}, SECTION)
    assert GeneNames.read(site) == GeneNames({TP53: "TP53"}, {"MLL": "KMT2A"})


def test_a_site_without_tables_keeps_names(make_site):
    assert GeneNames.read(make_site({})) == GeneNames()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"aliases.csv": "alias,symbol\n"}, r"expected the table that \[expression\] ensembl .* got no such file"),
        ({"ids.tsv": f"{TP53}\n"}, "expected two columns, Ensembl id and symbol, got one"),
        ({"ids.tsv": "id\tsymbol\nTP53\tTP53\n"}, "line 2: expected an Ensembl gene id, got 'TP53'"),
        (
            {"ids.tsv": f"id\tsymbol\n{TP53}.1\tTP53\n{TP53}.2\tP53\n"},
            f"line 3: expected one symbol for '{TP53}', got 'P53' .line 2: 'TP53'.; remove one",
        ),
        ({"ids.tsv": "id\tsymbol\n", "aliases.csv": "old,new\n"}, "expected a column 'alias', got none"),
        ({"ids.tsv": "id\tsymbol\n", "aliases.csv": "alias,symbol\nMLL,\n"}, "line 2: expected an alias and a symbol"),
    ],
)
def test_faulty_tables_of_names_are_refused(make_site, files, message):
    with pytest.raises(CohortError, match=message):
        GeneNames.read(make_site(files, SECTION))


def test_long_lists_of_names_are_cut():
    assert some([str(i) for i in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"


LINES = st.lists(st.lists(st.sampled_from([TP53, f"{TP53}.1", "TP53", "", "alias", "symbol", '"']), max_size=3))


@given(st.one_of(st.text(max_size=20), LINES.map(lambda lines: "\n".join("\t".join(cells) for cells in lines))))
def test_any_text_is_a_table_of_names_or_a_cohort_error(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp()
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data/ids.tsv").write_text(text, encoding="utf-8")
    for which in ("ensembl", "aliases"):
        (folder / "site.toml").write_text(f'schema = 1\n[site]\nid = "A"\n[expression]\n{which} = "data/ids.tsv"\n')
        with suppress(CohortError):
            names = GeneNames.read(read_site(folder / "site.toml"))
            assert all(symbol for symbol in [*names.ensembl.values(), *names.aliases.values()])
