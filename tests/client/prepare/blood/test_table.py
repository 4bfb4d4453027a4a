import csv
from pathlib import Path

import numpy as np
import pytest

from client.prepare.blood.table import blood_table
from client.prepare.patients import read_roster
from shared.errors import CohortError
from shared.study import Blood

CLINICAL = "case_id\tsex\na\tmale\nb\tmale\n"
HEADER = "case_id,analyte,value,unit,ref_low,ref_high,collected\n"
ALP, CRP = "6768-6", "1988-5"
REAL = Path("../shared/data/blood")


def distances(make_site, report, *lines):
    site = make_site({"clinical.tsv": CLINICAL, "blood.csv": HEADER + "".join(f"{line}\n" for line in lines)})
    return blood_table(site, read_roster(site), Blood(analytes=(ALP, CRP)), report)


def test_rows_become_one_value_an_analyte(make_site, report):
    table = distances(
        make_site, report, f"a,{ALP},120,U/L,40,80,3", "b,C reactive protein,5,mg/L,0,10,", "b,alp,30,U/L,40,80,0"
    )
    np.testing.assert_array_equal(table.values, [[1, 0], [-0.25, 0]])
    np.testing.assert_array_equal(table.observed, [[1, 0], [1, 1]])
    assert table.columns == (ALP, CRP)
    assert [row.reason for row in report.rows] == ["2 patients, 2 of 2 analytes"]


def test_the_unit_of_a_row_is_converted_with_its_interval(make_site, report):
    table = distances(make_site, report, "a,CRP,2,mg/dL,0,1,", "b,CRP,20,mg/L,0,10,")
    np.testing.assert_allclose(table.values[:, 1], [1, 1], rtol=1e-6)


def test_a_site_without_blood_observes_nothing(make_site, report):
    site = make_site({"clinical.tsv": CLINICAL})
    table = blood_table(site, read_roster(site), Blood(analytes=(ALP, CRP)), report)
    assert table.observed.shape == (2, 2)
    assert not table.observed.any()
    assert report.rows == []


def test_a_malformed_file_is_refused_as_a_whole(make_site, report):
    site = make_site({"clinical.tsv": CLINICAL, "blood.csv": "case_id,analyte,value,unit\na,ALP\n"})
    with pytest.raises(CohortError, match="line 2: expected 4 cells, got 2; mend the line"):
        blood_table(site, read_roster(site), Blood(analytes=(ALP,)), report)


NAMES = {"ALB": "1751-7", "ALT": "1742-6", "AST": "1920-8", "GGT": "2324-2", "CREA": "2160-0"}


@pytest.fixture(scope="module")
def real():
    """The people and limits of the shared data, as csv rows."""
    if not (REAL / "livertests.csv").is_file():
        pytest.skip("no livertests.csv")
    people, limits = (
        list(csv.DictReader((REAL / name).read_text(encoding="utf-8").splitlines()))
        for name in ("livertests.csv", "targetvalues.csv")
    )
    assert (len(people), len(limits)) == (612, 8)
    return people, limits


def test_real_results_against_real_limits_by_sex(make_site, report, real):
    people, limits = real
    units = {row["analyte"]: row["unit"] for row in limits}
    intervals = ["analyte,unit,sex,ref_low,ref_high"] + [
        f"{row['analyte']},{row['unit']},{sex},{row[f'll.{sex}']},{row[f'ul.{sex}']}"
        for row in limits
        for sex in ("female", "male")
    ]
    clinical = ["case_id\tage_at_diagnosis\tsex", *(f"p{i:03d}\t{p['Age']}\t{p['Sex']}" for i, p in enumerate(people))]
    rows = ["case_id,analyte,value,unit"] + [
        f"p{i:03d},{name},{person[name]},{units[name]}"
        for i, person in enumerate(people)
        for name in units
        if person[name]
    ]
    site = make_site(
        {
            "clinical.tsv": "\n".join(clinical) + "\n",
            "blood.csv": "\n".join(rows) + "\n",
            "limits.csv": "\n".join(intervals) + "\n",
        },
        '[blood]\nintervals = "data/limits.csv"\n',
    )
    table = blood_table(site, read_roster(site), Blood(analytes=tuple(NAMES.values())), report)

    female = np.array([person["Sex"] == "f" for person in people])
    expected = np.full((len(people), len(NAMES)), np.nan)
    for column, name in enumerate(NAMES):
        row = next(row for row in limits if row["analyte"] == name)
        low = np.where(female, float(row["ll.female"]), float(row["ll.male"]))
        high = np.where(female, float(row["ul.female"]), float(row["ul.male"]))
        value = np.array([float(person[name] or "nan") for person in people])
        expected[:, column] = (np.minimum(value - low, 0) + np.maximum(value - high, 0)) / (high - low)
    np.testing.assert_array_equal(table.observed, np.isfinite(expected))
    assert table.observed.sum() > 3000
    np.testing.assert_allclose(table.values[table.observed], np.clip(expected, -10, 10)[table.observed], atol=1e-5)
    flagged = np.where(table.observed, table.values != 0, False).mean(axis=0)
    np.testing.assert_array_equal(flagged, (np.nan_to_num(expected) != 0).mean(axis=0))
    assert 0.05 < flagged.min() < flagged.max() < 0.6
    assert {row.state for row in report.rows} == {"used", "noted"}
    assert [(c.name, c.found) for c in report.coverage if c.name == "ALB"] == [("ALB", int(table.observed[:, 0].sum()))]
