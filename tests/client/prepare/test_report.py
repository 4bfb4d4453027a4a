import pytest

from client.prepare.report import PrepareReport


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("expected a number, got 'Doe, John'; correct it", "expected a number, got '...'; correct it"),
        ("expected a number, got \"O'Neil\" and 'it\\'s'; x", "expected a number, got '...' and '...'; x"),
        (
            "/srv/My Data/A/clinical.tsv: line 3: expected a column 'unit', got none; add it",
            "...: line ...: expected a column 'unit', got none; add it",
        ),
        ("got a damaged one (Can't open /srv/JOHN DOE.svs: x); y", "got a damaged one (Can't open ...: x); y"),
        ("sites/A/data/JOHN.svs: expected 3 um/px, got 'J/K'", "...: expected 3 um/px, got '...'"),
        ("2 samples stand for the patient, such as 'DOE-01A'", "2 samples stand for the patient, such as '...'"),
    ],
)
def test_lines_quote_no_cell_and_no_path(report, reason, shown):
    report.add("x", "left out", reason)
    assert report.lines()[1:-1] == [f"  1 x x: {shown}"]
    assert report.rows[0].reason == reason


def test_reasons_that_differ_in_a_cell_alone_are_one_line(report):
    for line, cell in enumerate(("Doe", "Roe", "Poe")):
        report.add("blood.csv", "left out", f"line {line}: expected a number, got {cell!r}; correct it")
    report.add("x", "left out", "nobody's")
    report.add("x", "noted", "never shown")
    assert report.lines() == [
        "inputs: 0 used, 1 noted, 4 left out",
        "  3 x blood.csv: line ...: expected a number, got '...'; correct it",
        "  1 x x: nobody's",
        "feature store written",
    ]


def test_lines_name_the_file_and_what_the_store_holds(report):
    report.add("expression.tsv", "left out", "data/expression.tsv: 1 fault; expected values from 0 to 20; write z")
    report.add("expression.tsv: DOE-01A", "left out", "normal tissue")
    report.add("slides/DOE.svs", "left out", "expected a slide")
    report.patients, report.held = 100, {"expression": 0, "clinical": 99}
    assert report.lines() == [
        "inputs: 0 used, 0 noted, 3 left out",
        "  1 x expression.tsv: expected values from 0 to 20; write z",
        "  1 x expression.tsv: normal tissue",
        "  1 x slides/: expected a slide",
        "feature store written: 100 patients, expression of 0, clinical of 99",
        "warning: nobody has expression, which this site therefore will not train",
    ]


def test_what_is_saved_is_loaded(report, tmp_path):
    report.add("slides/a\udcf6.svs", "used", "4 patches", key="k", case_id="P")  # a name that is no UTF-8
    report.cover("blood", "ALP", 1, 2)
    report.save(tmp_path / "r.json")
    report.write(tmp_path / "r.csv")
    loaded = PrepareReport.load(tmp_path / "r.json", tmp_path)
    assert (loaded.rows, loaded.coverage, loaded.reused) == (report.rows, report.coverage, True)
    assert PrepareReport.read(tmp_path / "r.csv", tmp_path).rows == report.rows


@pytest.mark.parametrize("content", ["", '{"rows":[{"k', "[]", '{"rows":[{"x":1}],"coverage":[]}', '{"rows":[]}'])
def test_a_damaged_record_is_none(tmp_path, content):
    (tmp_path / "r.json").write_text(content)
    assert PrepareReport.load(tmp_path / "r.json", tmp_path) is None


@pytest.mark.parametrize(
    "content", [b"key,case_id\na,b\n", b"\xff\xfe\n\xff", b"key,case_id,file,state,reason,seconds\na\n"]
)
def test_a_damaged_table_is_none(tmp_path, content):
    (tmp_path / "r.csv").write_bytes(content)
    assert PrepareReport.read(tmp_path / "r.csv", tmp_path) is None
    assert PrepareReport.read(tmp_path / "none.csv", tmp_path) is None
