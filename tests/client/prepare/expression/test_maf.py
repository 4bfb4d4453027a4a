import gzip
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.expression.maf import CHANGING, SILENT, read_maf, read_mutation_table
from shared.errors import CohortError

HEAD = "#version gdc-1.0.0\nHugo_Symbol\tChromosome\tVariant_Classification\tTumor_Sample_Barcode\n"
LINES = (
    "TP53\tchr17\tMissense_Mutation\ta-1\n"
    "TP53\tchr17\tSilent\tb-1\n"
    "IDH1\tchr2\tMissense_Mutation\tb-1\n"
    "IDH1\tchr2\tMissense_Mutation\tb-1\n"
    "TERT\tchr5\t5'Flank\tb-1\n"
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mutations.maf"


def test_a_gene_is_mutated_where_a_variant_changes_it(path, report):
    path.write_text(HEAD + LINES)
    table = read_mutation_table(path, ["a", "b"], report)
    assert table.to_dict() == {"a-1": {"IDH1": 0, "TERT": 0, "TP53": 1}, "b-1": {"IDH1": 1, "TERT": 0, "TP53": 0}}
    assert report.rows == []


def test_a_packed_maf_is_the_same(path):
    packed = path.with_name("mutations.maf.gz")
    packed.write_bytes(gzip.compress((HEAD + LINES).encode()))
    assert read_maf(packed).mutated == {("TP53", "a-1"), ("IDH1", "b-1")}


def test_patients_who_were_sequenced_without_a_variant_are_listed_apart(path, report):
    path.write_text(HEAD + LINES)
    path.with_name("mutations_sequenced.txt").write_text("a\nc\n\nd-01\n")
    table = read_mutation_table(path, ["a", "b", "c", "d"], report)
    assert list(table.columns) == ["a-1", "b-1", "c", "d-01"]
    assert not table[["c", "d-01"]].any(axis=None)


def test_a_class_that_is_unknown_decides_nothing(path, report):
    more = "TP53\tchr17\tStrange\ta-1\nEGFR\tchr7\tStrange\ta-1\nEGFR\tchr7\t\tb-1\n\tchr7\tSplice_Site\tb-1\n"
    path.write_text(HEAD + LINES + more)
    table = read_mutation_table(path, ["a", "b"], report)
    np.testing.assert_array_equal(table.loc[["TP53", "EGFR"]], [[1, 0], [np.nan, np.nan]])
    assert [(row.state, row.reason) for row in report.rows] == [
        (
            "left out",
            "3 variants of classes that mmfed does not know: (empty), Strange; write the class as the MAF format does",
        ),
        ("left out", "1 variants without a gene; name it"),
    ]


def test_no_class_is_both(path):
    assert not CHANGING & SILENT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#version 2.4\n", "expected a column 'Hugo_Symbol', got none; export a MAF"),
        (HEAD.replace("Tumor_Sample_Barcode", "Sample"), "line 2: expected a column 'Tumor_Sample_Barcode'"),
        (HEAD + "TP53\tchr17\tSilent\n", "line 3: expected 4 cells, got 3; mend the line"),
        (HEAD + "TP53\tchr17\tSilent\t \n", "line 3: expected a Tumor_Sample_Barcode, got nothing; fill it"),
    ],
)
def test_malformed_mafs_are_refused(path, text, message):
    path.write_text(text)
    with pytest.raises(CohortError, match=message):
        read_maf(path)


CLASSES = st.sampled_from(sorted(CHANGING | SILENT))
VARIANTS = st.lists(st.tuples(st.sampled_from("ABC"), CLASSES, st.sampled_from("xyz")))


@given(VARIANTS)
def test_the_table_says_what_the_lines_say(tmp_path_factory, variants):
    path = tmp_path_factory.getbasetemp() / "r.maf"
    path.write_text(HEAD + "".join(f"{gene}\t1\t{class_}\t{sample}\n" for gene, class_, sample in variants))
    maf = read_maf(path)
    assert maf.mutated == {(gene, sample) for gene, class_, sample in variants if class_ in CHANGING}
    assert maf.samples == {sample for _, _, sample in variants}


@given(st.one_of(st.text(max_size=30), st.text("\t\n#\r\"'A ", max_size=20).map(lambda text: HEAD + text)))
def test_any_text_is_a_maf_or_a_cohort_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.maf"
    path.write_text(text, encoding="utf-8")
    with suppress(CohortError):
        assert "" not in read_maf(path).samples
