import gzip
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.expression.star import read_star
from shared.errors import CohortError

GENES = [("ENSG1.2", "TP53", 10, 1.5), ("ENSG2.1", "EGFR", 0, 0), ("ENSG3.1", "MET", 90, "2e3")]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s.rna_seq.augmented_star_gene_counts.tsv"


def test_a_file_is_read_without_its_summary(path, star):
    path.write_text(star(GENES))
    file = read_star(path)
    assert (file.gene_ids, file.symbols) == (["ENSG1.2", "ENSG2.1", "ENSG3.1"], ["TP53", "EGFR", "MET"])
    np.testing.assert_array_equal(file.values("unstranded"), [10, 0, 90])
    np.testing.assert_array_equal(file.values("tpm_unstranded", np.array([2, 0])), [2000, 1.5])


def test_a_packed_file_is_the_same(path, star):
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(star(GENES).encode()))
    assert read_star(packed).symbols == ["TP53", "EGFR", "MET"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tpm_unstranded", "tpm", "line 2: expected a column 'tpm_unstranded' as in GDC's STAR counts, got none"),
        ("ENSG2.1\tEGFR\t", "ENSG2.1\t", "line 8: expected 9 cells, got 8; download the file again"),
        ("\t2e3\t0.1\t0.2\n", "", "line 9: expected 9 cells, got 6"),
    ],
)
def test_other_layouts_and_broken_downloads_are_refused(path, star, old, new, message):
    path.write_text(star(GENES).replace(old, new))
    with pytest.raises(CohortError, match=message):
        read_star(path)


def test_a_file_without_genes_is_refused(path, star):
    path.write_text(star([]))
    with pytest.raises(CohortError, match="expected a line a gene, got none"):
        read_star(path)


@pytest.mark.parametrize("cell", ["-1", "", "low", "nan", "inf", "1,5"])
def test_wrong_numbers_are_named_by_their_line(path, star, cell):
    path.write_text(star([*GENES, ("ENSG4.1", "ALK", 1, cell)]))
    file = read_star(path)
    with pytest.raises(CohortError, match=f"line 10: expected a tpm_unstranded of 0 or above, got '{cell}'"):
        file.values("tpm_unstranded", np.array([0, 3]))


@given(st.lists(st.tuples(st.integers(0, 10**9), st.floats(0, 1e6)), min_size=1, max_size=5))
def test_numbers_come_back_as_written(tmp_path_factory, star, numbers):
    path = tmp_path_factory.getbasetemp() / "r.tsv"
    path.write_text(star([(f"ENSG{i}.1", f"G{i}", a, repr(b)) for i, (a, b) in enumerate(numbers)]))
    file = read_star(path)
    assert [*zip(file.values("unstranded"), file.values("tpm_unstranded"), strict=True)] == numbers


CELLS = st.sampled_from(["#", "gene_id", "gene_name", "N_", "1", "", "\r", '"', "\x0c", "x"])


@given(st.one_of(st.text(max_size=30), st.lists(CELLS, max_size=30).map("\t".join)), st.booleans())
def test_any_text_is_a_star_file_or_a_cohort_error(tmp_path_factory, star, text, whole):
    path = tmp_path_factory.getbasetemp() / "any.tsv"
    path.write_text(star([]) + text if whole else text, encoding="utf-8")
    with suppress(CohortError):
        file = read_star(path)
        assert len(file.gene_ids) == len(file.symbols) >= 1
        assert (file.values("unstranded") >= 0).all()
