import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.blood.results import Result, read_results
from client.prepare.patients import read_roster
from client.prepare.report import PrepareReport
from shared.site import read_site

pytestmark = pytest.mark.slow  # together they take seconds

CLINICAL = "case_id\tsex\tage_at_diagnosis\tdiagnosis_date\na\tmale\t60\t2024-03-01\nb\tfemale\t40\t\n"
HEADER = "case_id,analyte,value,unit,ref_low,ref_high,collected\n"
ALP, CRP, CREATININE = "6768-6", "1988-5", "2160-0"


def read(make_site, report, *lines, header=HEADER, clinical=CLINICAL, own=""):
    files = {"clinical.tsv": clinical, "blood.csv": header + "".join(f"{line}\n" for line in lines)}
    site = make_site(files | ({"own.csv": own} if own else {}), '[blood]\nintervals = "data/own.csv"\n' if own else "")
    return read_results(site, read_roster(site), (ALP, CRP, CREATININE), report)


def test_results_in_the_panels_unit_and_order(make_site, report):
    found = read(make_site, report, "a,CRP,2,mg/dL,0,1,", "a,ALP,100,U/L,40,120,", "b,CRP,<3,mg/L,,5,")
    assert found == {"a": (Result(ALP, 100, 40, 120), Result(CRP, 20, 0, 10)), "b": (Result(CRP, 3, 0, 5, "<"),)}
    assert [(c.modality, c.name, c.found, c.total) for c in report.coverage] == [
        ("blood", "ALP", 1, 2),
        ("blood", "CRP", 2, 2),
        ("blood", "Creatinine", 0, 2),
    ]
    assert [(row.file, row.state, row.reason) for row in report.rows] == [
        ("blood.csv", "noted", "1 results are limits (<x, >x): the limit itself is used"),
        ("blood.csv", "used", "2 patients, 2 of 3 analytes"),
    ]


@pytest.mark.parametrize(
    ("collected", "expected"),
    [
        (("-2", "5", "30"), 90),  # the nearest to diagnosis, before or after
        (("2024-02-01", "2024-03-02", "2024-04-01"), 100),
        (("2024-02-01", "-5", "2024-03-09"), 100),  # days and dates mixed
        (("", "", ""), 110),  # nothing known: the last in the file
        (("", "9", ""), 100),  # known beats unknown
        (("3", "-3", "9"), 100),  # equally near: the later line
        (("soon", "9", "later"), 100),
    ],
)
def test_of_several_results_one_counts(make_site, report, collected, expected):
    rows = [f"a,{ALP},{value},U/L,40,80,{day}" for value, day in zip((90, 100, 110), collected, strict=True)]
    (result,) = read(make_site, report, *rows)["a"]
    assert result.value == expected


def test_without_a_date_of_diagnosis_the_latest_counts(make_site, report):
    rows = [f"b,{ALP},{value},U/L,40,80,{day}" for value, day in ((90, "2024-05-01"), (100, "2024-04-01"), (110, ""))]
    (result,) = read(make_site, report, *rows)["b"]
    assert result.value == 90
    assert report.rows[0].reason.startswith("2 dated rows of patients without a date in the column diagnosis_date")


def test_a_refused_row_does_not_hide_a_usable_one(make_site, report):
    (result,) = read(make_site, report, f"a,{ALP},90,U/L,40,80,9", f"a,{ALP},hemolysed,U/L,40,80,0")["a"]
    assert result.value == 90


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("high,U/L,40,80", "line 2: expected a number as value, got 'high'; correct it"),
        (",U/L,40,80", "line 2: expected a number as value, got ''; correct it"),
        ("-3,U/L,40,80", "line 2: expected a value of 0 or more, got '-3'; correct it"),
        ("70,mg/L,40,80", "line 2: expected a unit of ALP, e.g. U/L, got 'mg/L'; correct it"),
        ("70,furlong,40,80", "line 2: expected a unit that can be read, got 'furlong'; write it in UCUM, e.g. U/L"),
        ("70,U/L,80,80", "line 2: expected 0 <= ref_low < ref_high, got '80' to '80'; write the laboratory's interval"),
        ("70,U/L,40,", "line 2: expected an upper limit, got '40' to ''; write the laboratory's interval"),
        ("<90,U/L,40,80", "line 2: expected a limit that tells below, inside or above, got '<90' for 40 to 80; "),
        ("<50,U/L,40,80", "line 2: expected a limit that tells below, inside or above, got '<50' for 40 to 80; "),
        (">70,U/L,40,80", "line 2: expected a limit that tells below, inside or above, got '>70' for 40 to 80; "),
        ("70000,U/L,40,80", "line 2: expected a value within 1000 interval widths of its interval, got '70000'; check"),
        ("70,U/L,,", "line 2: expected a reference interval of ALP in the row or, for the patient's sex and age, in"),
    ],
)
def test_unusable_rows_are_recorded_with_the_patient(make_site, report, row, reason):
    assert read(make_site, report, f"a,{ALP},{row},") == {}
    left_out = report.rows[0]
    assert (left_out.state, left_out.case_id, left_out.file) == ("left out", "a", "blood.csv")
    assert left_out.reason.startswith(reason)
    assert len(left_out.key) == 16


@pytest.mark.parametrize(
    ("value", "bound", "number"), [("<40", "<", 40), ("<30", "<", 30), (">80", ">", 80), (">99", ">", 99)]
)
def test_limits_that_settle_the_side_are_used(make_site, report, value, bound, number):
    (result,) = read(make_site, report, f"a,{ALP},{value},U/L,40,80,")["a"]
    assert (result.value, result.bound) == (number, bound)


def test_strangers_and_unknown_analytes_are_recorded(make_site, report):
    read(make_site, report, f"x,{ALP},70,U/L,40,80,", "a,Ferritin,70,ug/L,40,80,", "b,Ferritin,70,ug/L,40,80,")
    assert [(row.state, row.case_id, row.reason) for row in report.rows[:2]] == [
        ("left out", "x", "not in clinical.tsv"),
        ("noted", "", "2 rows of 'Ferritin', which is not among the study's analytes"),
    ]


def test_excluded_patients_are_passed_over(make_site, report):
    make_site({"exclude.csv": "case_id,date,reason\na,2025-01-01,withdrew\n"})
    assert set(read(make_site, report, f"a,{ALP},70,U/L,40,80,", f"b,{ALP},70,U/L,40,80,")) == {"b"}
    assert [row.state for row in report.rows] == ["used"]


def test_the_sites_table_serves_rows_without_an_interval(make_site, report):
    own = "analyte,unit,sex,ref_low,ref_high\nCREA,umol/L,female,41,88\nCREA,umol/L,male,50,104\n"
    found = read(
        make_site, report, "a,CREA,1.5,mg/dL", "b,CREA,1.5,mg/dL", header="case_id,analyte,value,unit\n", own=own
    )
    assert found["a"][0].high == pytest.approx(104 / 88.4, rel=1e-4)
    assert found["b"][0].high == pytest.approx(88 / 88.4, rel=1e-4)


def test_the_rows_own_interval_comes_first(make_site, report):
    own = "analyte,unit,ref_low,ref_high\nALP,U/L,1,2\n"
    assert read(make_site, report, f"a,{ALP},70,U/L,40,80,", own=own)["a"][0].high == 80


def test_decimal_commas_make_dots_before_three_digits_ambiguous(make_site, report):
    found = read(make_site, report, 'a,CRP,"12,5",mg/L,0,5,', "a,ALP,1.234,U/L,0.5,2,", "a,CREA,1.2,mg/dL,0.5,2,")
    assert [result.code for result in found["a"]] == [CRP, CREATININE]
    assert report.rows[0].reason.startswith("line 3: expected one way to read the value, got '1.234'")


def test_a_gzipped_file_is_read_and_named(make_site, report):
    site = make_site({"clinical.tsv": CLINICAL})
    (site.data / "blood.csv.gz").write_bytes(gzip.compress((HEADER + f"a,{ALP},70,U/L,40,80,\n").encode()))
    assert set(read_results(site, read_roster(site), (ALP,), report)) == {"a"}
    assert report.rows[0].file == "blood.csv.gz"


WORDS = st.text(st.characters(blacklist_characters='",\r\n\x00', blacklist_categories=("Cs",)), max_size=8)


@given(
    cells=st.tuples(
        st.sampled_from(["12", "<3", ">900", "1,5", "-1", "neg"]) | WORDS,
        st.sampled_from(["U/L", "IU/L", "mg/dL", ""]) | WORDS,
        st.sampled_from(["", "0", "40", "1e9"]) | WORDS,
        st.sampled_from(["", "5", "80"]) | WORDS,
        st.sampled_from(["", "3", "2024-01-01"]) | WORDS,
    )
)
def test_any_row_is_a_result_or_a_row_of_the_report(tmp_path_factory, cells):
    folder = tmp_path_factory.mktemp("any")
    (folder / "data").mkdir()
    (folder / "data/clinical.tsv").write_text(CLINICAL, encoding="utf-8")
    quoted = ",".join(f'"{cell}"' for cell in ("a", "ALP", *cells))
    (folder / "data/blood.csv").write_text(HEADER + quoted + "\n", encoding="utf-8")
    (folder / "site.toml").write_text('schema = 1\n[site]\nid = "A"\n', encoding="utf-8")
    site, report = read_site(folder / "site.toml"), PrepareReport(folder)
    found = read_results(site, read_roster(site), (ALP,), report)
    assert (len(found) == 1) != (report.left_out == 1)
    assert all(0 <= r.low < r.high and r.value >= 0 for rows in found.values() for r in rows)
