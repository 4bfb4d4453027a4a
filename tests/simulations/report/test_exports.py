"""Figures and tables as files: complete, plain, and safe to open."""

import csv
import hashlib
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from simulations.report.card import card_html
from simulations.report.exports import csv_text, export, figures_in, standalone
from simulations.report.fairness import fairness_figures, fairness_table
from simulations.report.flow_figure import flow_figure
from simulations.report.fold_tables import fold_table, hospital_draws_table
from simulations.report.gap_figure import gap_figure
from simulations.report.long_tables import long_tables
from simulations.report.provenance import digests, settings_text, sources
from simulations.report.tables import comparison_table

Make = Callable[[str], dict[str, Any]]


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_pictures_stand_alone(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    for picture in (flow_figure(metrics), gap_figure(metrics, "auc")):
        assert picture is not None
        root = ET.fromstring(standalone(picture).split("\n", 1)[1])
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert float(root.attrib["width"]) > 300
        texts = [element for element in root.iter() if element.tag.endswith("}text")]
        assert len(texts) > 5
        used = {value[1:] for e in root.iter() for key, value in e.attrib.items() if key.endswith("href")}
        assert used <= {element.attrib["id"] for element in root.iter() if "id" in element.attrib}


def test_figures_are_found_however_deep_and_named_apart() -> None:
    figure = Markup('<svg viewBox="0 0 1 1" class="figure"><title>t</title></svg>')
    slide = Markup('<svg viewBox="0 0 1 1" class="slide"></svg>')
    context = {"a": [("AUC, own", figure), ("AUC own!", figure), ("slide", slide)], "b": {"c": ("../../x", figure)}}
    assert [name for name, _, _ in figures_in(context)] == ["a-auc-own", "a-auc-own-2", "c-x"]


def test_an_export_lists_what_lies_there_and_removes_what_was_there(tmp_path: Path, metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "old.svg").write_text("gone")
    files = export(tmp_path, {"gap": [("c-index", gap_figure(metrics, "c_index"))]}, long_tables(metrics))
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert there == {name for name, _, _ in files}
    for name, _, sha in files:
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == sha


def test_tables_hold_plain_numbers_with_interval_and_patients(metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    metrics["signature"] = {"rows": [{"what": "features", "auc": 0.66}]}
    tables = {name: _rows(csv_text(rows)) for name, rows in long_tables(metrics).items()}
    told = next(
        row for row in tables["scores"]
        if [row[key] for key in ("kind", "name", "where", "metric")] == ["arm", "local", "unseen", "c_index"]
    )  # fmt: skip
    value = metrics["arms"]["local"]["unseen"]["c_index"]
    assert [float(told[key]) for key in ("value", "low", "high", "n", "events")] == [
        value[key] for key in ("value", "low", "high", "n", "events")
    ]
    null = next(row for row in tables["scores_by_hospital"] if row["site"] == "06" and row["metric"] == "c_index")
    assert (null["value"], null["reason"]) == ("", "fewer than 5 events")
    assert len(tables["calibration"]) == 3 * 2 * 15
    gap = tables["gaps"][0]
    assert float(gap["gap"]) == pytest.approx(float(gap["unseen_value"]) - float(gap["own_value"]))
    assert {"flow", "hospitals", "comparisons", "fairness", "learning", "kaplan_meier"} <= set(tables)
    assert tables["site_signature"] == [{"what": "features", "auc": "0.66"}]
    assert long_tables({"arms": {}}) == {}


def test_a_spreadsheet_runs_nothing_that_a_cohort_holds() -> None:
    (row,) = _rows(csv_text([{"site": "=cmd()", "n": -3, "name": "a,b"}]))
    assert row == {"site": "'=cmd()", "n": "-3", "name": "a,b"}


def test_the_card_is_text_whatever_it_holds() -> None:
    html = card_html("# A <script>x</script>\n\n[l](http://a) ![p](b.png) **b**\n\n| h |\n| --- |\n| <i>c</i> |\n")
    assert "<h3>A &lt;script&gt;" in html
    assert "<strong>b</strong>" in html
    assert "<td>&lt;i&gt;c&lt;/i&gt;</td>" in html
    assert not [tag for tag in ("<a", "<img", "<script", "<i>") if tag in html]


def test_small_groups_are_not_shown(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    table = fairness_table(metrics)
    rows = {name: [cell.text for cell in cells] for name, _, cells in table.rows}
    assert list(rows) == ["Sex: female", "Sex: male", "Age: under 40", "Age: 80 and over"]
    assert rows["Age: 80 and over"] == ["", "–", "–", "–"]  # nor how many they are
    assert rows["Sex: male"][0] == "60"
    assert table.notes == [("a", "under 10")]
    assert [title for title, _ in fairness_figures(metrics)] == ["AUC by sex", "AUC by age"]
    assert "80 and over" not in fairness_figures(metrics)[1][1]
    assert (fairness_table({}).rows, fairness_figures({})) == ([], [])


def test_folds_and_intervals_over_hospitals(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    assert fold_table(metrics).rows == hospital_draws_table(metrics).rows == []
    many = [f"S{i}" for i in range(14)]
    metrics["protocol"]["unseen"] = [
        {"sites": ["HT"], "patients": 60, "classes": {"G2": 9}}, {"sites": many, "patients": 44, "classes": {}},
    ]  # fmt: skip
    table = fold_table(metrics)
    assert table.head == ["Hospitals left out", "Patients", "G2"]
    assert [[cell.text for cell in cells] for _, _, cells in table.rows] == [
        ["HT", "60", "9"], [", ".join(many[:12]) + " and 2 more", "44", "0"],
    ]  # fmt: skip
    metrics["arms"]["local"]["by_site"] = {"unseen": {"auc": {"low": 0.5, "high": 0.9, "sites": 4}}}
    ((name, _, cells),) = hospital_draws_table(metrics).rows
    value = metrics["arms"]["local"]["unseen"]["auc"]["value"]
    assert (name, cells[0].text, cells[0].spread) == ("Local", f"{value:.3f}", "0.500–0.900")


def test_p_values_stand_beside_the_differences_where_there_are_any(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    assert comparison_table(metrics).head == ["Measured on", "Metric", "Difference (95 % interval)"]
    for row, p in zip(metrics["comparisons"], (0.0001, 0.02, None, 1.0), strict=True):
        row |= {"p": p, "p_holm": None if p is None else min(1.0, 4 * p)}
    table = comparison_table(metrics)
    assert table.head[-2:] == ["p", "p (Holm)"]
    assert [[cell.text for cell in cells[-2:]] for _, _, cells in table.rows] == [
        ["< .001", "< .001"], ["0.020", "0.080"], ["–", "–"], ["1.000", "1.000"],
    ]  # fmt: skip


def test_origin_and_digests(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    metrics["synthetic"] = ["slides"]
    metrics |= {"pairing": {"cohort": "ab" * 32}, "inputs": {"encoders": {"slides": "cd" * 32}, "genes_sha256": ""}}
    held = {name: (made, n) for name, made, n in sources(metrics)}
    assert held["slides"][0]
    assert not held["expression"][0]
    assert held["slides"][1] == sum(s["modalities"]["slides"] for s in metrics["cohort"]["sites"].values())
    assert held["outcomes"] == (False, 369)
    assert [name for name, _ in digests(metrics)] == ["Study digest", "Patients and labels", "Encoder of slides"]
    assert json.dumps(digests({})) == "[]"


def test_only_very_long_settings_are_cut_short() -> None:
    genes = ", ".join(f'"GENE{i}"' for i in range(500))
    text = settings_text(f"a = 1\ncohort = [{genes}]\n")
    assert text.startswith('a = 1\ncohort = ["GENE0", "GENE1"')
    assert text.endswith("...  # 500 entries, all of them in study.toml\n")
    assert len(text) < 300
