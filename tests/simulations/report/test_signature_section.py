"""The section on the site signature, from hand-made figures."""

import copy
import csv
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from simulations.report import render_report, write_report
from simulations.report.signature_section import signature_section
from simulations.site_signature.meter import Named


def row(what: str, modality: str, when: str, correction: str, auc: float | None, **more: Any) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "n": 120,
        "sites": 8,
        "left_out": 0,
        "auc": auc,
        "low": None if auc is None else auc - 0.04,
        "high": None if auc is None else auc + 0.03,
        "balanced_accuracy": None if auc is None else 0.5,
        "chance": None if auc is None else 0.125,
        "within_class_auc": None if auc is None else auc - 0.01,
        "within_class_low": None if auc is None else auc - 0.06,
        "within_class_high": None if auc is None else auc + 0.04,
        "null": None if auc is None else 0.5,
        "null_highest": None if auc is None else 0.55,
        "reason": None if auc is not None else "fewer than two hospitals with 5 patients",
    }
    return {"what": what, "modality": modality, "when": when, "correction": correction, **figures, **more}


FOUND: dict[str, Any] = {
    "n": 140,
    "sites": 8,
    "left_out": 3,
    "classes": "the same class",
    "rows": [
        row("features", "slides", "frozen", "none", 0.909),
        row("features", "slides", "frozen", "combat", 0.693, null=0.587, null_highest=0.61),
        row("features", "blood", "frozen", "none", 0.525),
        row("features", "imaging", "frozen", "none", None),
        row("embedding", "all", "before", "none", 0.789),
        row("embedding", "all", "after", "none", 0.687),
        row("predictions", "all", "after", "none", 0.58, within_class_auc=0.539),
    ],
    "gap": {
        "metric": "auc",
        "own": {"value": 0.918},
        "unseen": {"value": 0.88},
        "difference": 0.038,
        "low": -0.02,
        "high": 0.1,
    },
}


def test_two_sentences_tell_what_is_known_and_what_it_costs() -> None:
    knows, loses = signature_section({"signature": FOUND})["sentences"]
    assert knows == (
        "The hospital can be told clearly by slides (0.909); not beyond chance by blood (0.525); by the fused "
        "embedding 0.789 before and 0.687 after training, and by the predictions 0.580 (0.539 among patients of the "
        "same outcome)."
    )
    assert loses == (
        "AUC of the federated model is 0.918 on own test patients and 0.880 at unseen hospitals, 0.038 less "
        "(own less unseen −0.020 to 0.100): no difference beyond chance."
    )


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.01, 0.07, "it loses something there."), (-0.07, -0.01, "it does not lose there.")]
)
def test_a_gap_beyond_chance_is_called_one(low: float, high: float, words: str) -> None:
    found = copy.deepcopy(FOUND)
    found["gap"] |= {"difference": (low + high) / 2, "low": low, "high": high}
    assert signature_section({"signature": found})["sentences"][1].endswith(words)


def test_without_unseen_patients_the_cost_is_not_known() -> None:
    found = FOUND | {"gap": FOUND["gap"] | {"difference": None, "unseen": None}}
    assert signature_section({"signature": found})["sentences"][1].startswith("Nobody is unseen")


def test_the_page_shows_figure_and_table(plain: dict[str, Any], study_toml: str) -> None:
    html = render_report(plain | {"signature": FOUND}, study_toml)
    section = html[html.index("<h2>Does the model know the hospital?</h2>") :].split("</section>")[0]
    assert "AUC of naming the hospital, .5 = cannot be told: Slides 0.909; Slides, ComBat 0.693" in section
    assert "Embedding, before training" in section
    assert "fewer than two hospitals with 5 patients" in section  # the reason of the null
    assert "3 patients of hospitals that are too small" in section
    assert "leaves its own error" in section
    assert len(re.findall(r"<tbody>.*?</tbody>", section, re.DOTALL)[0].split("<tr>")) - 1 == len(FOUND["rows"])
    assert "Does the model know the hospital?" not in render_report(plain, study_toml)


def test_every_row_lies_beside_the_page_as_plain_numbers(
    plain: dict[str, Any], study_toml: str, tmp_path: Path
) -> None:
    write_report(plain | {"signature": FOUND}, study_toml, tmp_path)
    text = (tmp_path / "tables" / "site_signature.csv").read_text(encoding="utf-8")
    table = list(csv.DictReader(text.splitlines()))
    measured = [field.name for field in fields(Named)]
    assert list(table[0]) == ["what", "modality", "when", "correction", *measured]
    assert [row["when"] for row in table] == [*["frozen"] * 4, "before", "after", "after"]
    for told, found in zip(table, FOUND["rows"], strict=True):
        assert told == {name: "" if value is None else str(value) for name, value in found.items()}
    assert "tables/site_signature.csv" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_run_without_a_signature_has_no_table_of_it(plain: dict[str, Any], study_toml: str, tmp_path: Path) -> None:
    write_report(plain, study_toml, tmp_path)
    assert (tmp_path / "tables" / "flow.csv").is_file()
    assert not (tmp_path / "tables" / "site_signature.csv").exists()


def test_a_run_where_nothing_could_be_measured_has_no_section() -> None:
    nothing = FOUND | {"rows": [row("features", "slides", "frozen", "none", None)]}
    assert signature_section({"signature": nothing}) == {}
