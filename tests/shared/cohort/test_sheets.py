import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cohort.sheets import read_matrix, read_sheet, refuse
from shared.errors import CohortError


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_sheet_keeps_strings_and_line_numbers(tmp_path):
    sheet = read_sheet(write(tmp_path, "a.tsv", "\ufeffcase_id\tsite\n a \t06\n\nb\tNA\n"))
    assert sheet.to_dict("list") == {"case_id": ["a", "b"], "site": ["06", ""]}
    assert list(sheet.index) == [2, 4]


def test_sheet_reads_quoted_commas_of_csv(tmp_path):
    sheet = read_sheet(write(tmp_path, "a.csv", 'case_id,analyte\na,"D-dimer, FEU"\n'))
    assert sheet["analyte"].tolist() == ["D-dimer, FEU"]


def test_sheet_of_one_column_skips_blank_lines(tmp_path):
    assert read_sheet(write(tmp_path, "a.tsv", "case_id\na\n\nb\n"))["case_id"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header line, got an empty file"),
        ("\t\n\n", "expected a header line, got an empty file"),
        ("a\tb\n1\n", "line 2: expected 2 cells, got 1"),
        ("a\tb\n1\t2\t3\n", "line 2: expected 2 cells, got 3"),
        ('a\tb\n"1\t2\n', "line 2: expected delimited text, got unexpected end of data"),
        ("a\t\n1\t2\n", "line 1, column 2: expected a name, got nothing"),
        ("a\ta\n1\t2\n", "line 1, column 2: expected distinct names, got that of column 1 again"),
    ],
)
def test_sheet_refuses(tmp_path, text, message):
    with pytest.raises(CohortError, match=message):
        read_sheet(write(tmp_path, "a.tsv", text))


def test_a_csv_of_commas_has_no_header(tmp_path):
    with pytest.raises(CohortError, match="expected a header line, got empty lines"):
        read_sheet(write(tmp_path, "a.csv", ",,\n,,\n"))


def test_unreadable_files_are_refused(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(b"a\tb\n\xff\t1\n")
    with pytest.raises(CohortError, match="expected UTF-8 text"):
        read_sheet(path)
    packed = tmp_path / "b.tsv.gz"
    packed.write_bytes(gzip.compress(b"gene\ta\nX\t1\n")[:-6])
    with pytest.raises(CohortError, match="expected a readable file, got Compressed file ended"):
        read_matrix(packed)


def test_matrix_reads_gzip_and_missing_values(tmp_path):
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(b"gene\tp\t06\nNA\t1.5\t\nTP53\tNA\t-2\n"))
    table = read_matrix(path)
    assert list(table.index) == ["NA", "TP53"]
    assert list(table.columns) == ["p", "06"]
    np.testing.assert_array_equal(table.to_numpy(), [[1.5, np.nan], [np.nan, -2.0]])


@pytest.mark.parametrize("text", ["gene\tp\tq\n", "gene\nTP53\n"])
def test_matrix_may_be_empty(tmp_path, text):
    assert read_matrix(write(tmp_path, "a.tsv", text)).size == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("g\tp\nX\t1\t2\n", "line 2: expected 2 cells, got 3"),
        ("g\tp\nX\t1\n\nY\t2\n", "line 3: expected 2 cells, got 1"),
        ("g\tp\nX\tlow\n", "line 2, column 2: expected a finite number, got 'low'"),
        ("g\tp\tq\nX\t1\t2\nY\t1\tinf\n", "line 3, column 3: expected a finite number, got 'inf'"),
        ("g\tp\tp\nX\t1\t2\n", "line 1, column 3: expected distinct names"),
    ],
)
def test_matrix_refuses(tmp_path, text, message):
    with pytest.raises(CohortError, match=message):
        read_matrix(write(tmp_path, "a.tsv", text))


def test_many_faults_are_cut_short():
    with pytest.raises(CohortError, match=r"25 faults\n  fault 0\n(.*\n)+  \.\.\. and 5 more"):
        refuse(Path("a.tsv"), [f"fault {i}" for i in range(25)])


@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2), min_size=1))
def test_matrix_returns_the_numbers_that_were_written(tmp_path_factory, rows):
    lines = ["g\tp\tq", *(f"g{i}\t{a!r}\t{b!r}" for i, (a, b) in enumerate(rows))]
    table = read_matrix(write(tmp_path_factory.mktemp("m"), "a.tsv", "\n".join(lines)))
    np.testing.assert_array_equal(table.to_numpy(), rows)
