import gzip
from contextlib import suppress
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


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "g\tp\nX\t1,5\n", "line 2, column 2: expected a finite number, got '1,5'; export .* decimal points"),
        ("a.csv", "g;p\nX;1,5\n", "line 1: expected cells separated by commas, got semicolons; export"),
        ("a.tsv", "g,p\nX,1\n", "line 1: expected cells separated by tabs, got commas; export"),
        ("a.tsv", "p\tq\nX\t1\t2\nY\t1\t2\n", "line 1: expected 3 cells as in every other line, got 2; name the first"),
        ("a.tsv", "g\tp\nX\tTRUE\nY\tNA\n", "line 2, column 2: expected a finite number, got 'True'"),
        ("a.tsv", "g\tp\nX\tTRUE\nY\tFALSE\n", "2 faults"),
        ("a.csv", 'g,p\n"X\nY",1\n', "line 3: expected one line a row, got a line break or a control character"),
        ("a.tsv", "g\tp\nX\t1\0\n", "expected a header line, got NUL bytes"),
    ],
)
def test_matrix_says_what_a_spreadsheet_did(tmp_path, name, text, message):
    with pytest.raises(CohortError, match=message):
        read_matrix(write(tmp_path, name, text))


def test_matrix_reads_quoted_cells_and_other_line_ends(tmp_path):
    table = read_matrix(write(tmp_path, "a.csv", '"g","p","q, r"\r\n"X","1.5","2"\r"Y",NA,"-1e3"\n'))
    assert (list(table.index), list(table.columns)) == (["X", "Y"], ["p", "q, r"])
    np.testing.assert_array_equal(table.to_numpy(), [[1.5, 2.0], [np.nan, -1000.0]])


def test_long_matrices_are_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("shared.cohort.sheets.ROWS_AT_ONCE", 2)
    lines = "".join(f"g{i}\t{i}\t{'x' if i == 4 else -i}\n" for i in range(5))
    with pytest.raises(CohortError, match="1 fault\n  line 6, column 3: expected a finite number, got 'x'"):
        read_matrix(write(tmp_path, "a.tsv", "g\tp\tq\n" + lines))
    table = read_matrix(write(tmp_path, "a.tsv", "g\tp\tq\n" + lines.replace("x", "-4")))
    np.testing.assert_array_equal(table.to_numpy(), [[i, -i] for i in range(5)])


def test_matrix_leaves_columns_of_words_out(tmp_path):
    table = read_matrix(write(tmp_path, "a.tsv", "g\tband\tp\nX\t1p36\t3\n"), words=["band"])
    assert table.to_dict() == {"p": {"X": 3.0}}


CELLS = st.one_of(
    st.sampled_from(["", "NA", "1", "-2.5", "1e3", "9" * 40, "inf", "TRUE", '"', "1,5", "\x0c", "\x1f", "#", " ", "x"]),
    st.text(max_size=3),
)
TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(st.lists(CELLS, min_size=1, max_size=3), min_size=1, max_size=4).map(
        lambda rows: "\n".join("\t".join(row) for row in rows)
    ),
)


@given(TEXTS, st.sampled_from(["a.tsv", "a.csv"]))
def test_any_text_is_a_table_or_a_cohort_error(tmp_path_factory, text, name):
    path = write(tmp_path_factory.getbasetemp(), name, text)
    for read in (read_matrix, read_sheet):
        with suppress(CohortError):
            assert len(read(path)) <= text.count("\n") + text.count("\r") + 1


@given(st.binary(max_size=30))
def test_any_bytes_are_a_table_or_a_cohort_error(tmp_path_factory, content):
    for name in ("b.tsv", "b.tsv.gz"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(content)
        with suppress(CohortError):
            assert read_matrix(path).to_numpy().dtype == np.float64


def test_ragged_lines_are_left_out_and_described_where_asked(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3\n4,5,6\n7,8\n")
    ragged: list[str] = []
    sheet = read_sheet(path, ragged)
    assert sheet.to_numpy().tolist() == [["1", "2"], ["7", "8"]]
    assert list(sheet.index) == [2, 5]
    assert ragged == [
        "line 3: expected 2 cells, got 1; mend the line",
        "line 4: expected 2 cells, got 3; mend the line",
    ]
    path.write_text("a,b\n1\n2\n")
    with pytest.raises(CohortError, match="expected 2 cells, got 1"):
        read_sheet(path, [])
