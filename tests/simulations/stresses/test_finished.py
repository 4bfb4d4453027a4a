"""Curves that are there already, in the report of a run."""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from shared.errors import BadInput
from shared.study import Study, read_study
from simulations.adapt import override
from simulations.ready import Ready
from simulations.simulate import Options, simulate
from simulations.stresses.finished import of_study, read_stress, stress_part

SAME = "The study of this report, trained anew at every dose"
OTHER = "These curves are of another training than this report"


@pytest.mark.slow
def test_a_report_shows_the_curves_and_says_whose_they_are(
    run: Callable[..., dict[str, Any]], study: Study, cohort: Path, cache: Path, tmp_path: Path
) -> None:
    content = run("labels", doses=(0.0, 0.4))
    assert read_stress(tmp_path / "out") == content
    for rounds, told in ((2, SAME), (1, OTHER)):
        options = Options(
            override(study, (f"training.rounds={rounds}",)),
            cohort=str(cohort),
            arms=("federated",),
            stress=tmp_path / "out",
            out=tmp_path / f"run-{rounds}",
            cache=cache,
        )
        folder, _ = simulate(options, lambda what, done, total: None, lambda line: None)
        page = (folder / "report.html").read_text()
        assert told in page
        assert (SAME if told == OTHER else OTHER) not in page
        assert "How much the model suffers" in page
        assert json.loads((folder / "stress.json").read_text()) == content
        assert (folder / "figures" / "stress-dose-response-curves.svg").is_file()
        lines = (folder / "tables" / "stress.csv").read_text().splitlines()
        assert len(lines) == len((tmp_path / "out" / "stress.csv").read_text().splitlines())


def test_the_protocol_of_the_report_does_not_matter(ready: Ready, study: Study) -> None:
    content = {"study": {"digest": ready.study.digest}}
    assert of_study(content, ready.study)
    assert of_study(content, override(ready.study, ('split.protocol="leave-one-site-out"', "split.by=stratum")))
    assert of_study(content, override(ready.study, ('split.protocol="patient-kfold"', "split.folds=3")))
    assert not of_study(content, override(ready.study, ("training.learning_rate=0.5",)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "without stress.json; finish it by stress.py --out "),
        ("{", "got a damaged "),
        ("[]", "of schema None instead of 2; run simulations/stress.py with this version again"),
        ('{"schema": 1, "study": {}}', "of schema 1 instead of 2; "),
    ],
)
def test_what_is_no_finished_folder(text: str | None, said: str, study: Study, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "stress.json").write_text(text)
    with pytest.raises(BadInput, match="--stress: expected a folder that simulations/stress.py has finished") as caught:
        Options(study, stress=tmp_path)  # before any work
    assert said in str(caught.value)
    with pytest.raises(BadInput, match="nowhere, which is no folder; check the path"):
        read_stress(tmp_path / "nowhere")


@pytest.mark.parametrize("key", ["study", "cohort", "metric", "curves", "notes"])
def test_what_is_missing_inside_is_told_before_training(key: str, ready: Ready) -> None:
    value = {"value": 0.8, "low": 0.7, "high": 0.9, "sd": None}
    row = {"line": "all", "dose": 0, "values": {"own_site_mean": {"auc": value}}, "change": {}, "failed": None,
           "failed_seeds": 0, "missing": {}, "prepare": [], "signature": None}  # fmt: skip
    line = {"name": "all", "words": "at every hospital", "arm": "federated"}
    curve = {"name": "labels", "title": "Label noise", "axis": "share", "says": "Some.", "doses": [0], "lines": [line],
             "rows": [row]}  # fmt: skip
    whole = {"study": {"name": "x", "digest": ""}, "cohort": {"name": "x"}, "metric": "auc", "seeds": 1, "rounds": 2,
             "curves": [curve], "notes": [], "command": ""}  # fmt: skip
    assert stress_part(whole, ready.study, "x", ())["same"] is False
    for broken in ({k: v for k, v in whole.items() if k != key}, {**whole, key: None}, {**whole, "curves": []}):
        with pytest.raises(BadInput, match="got a damaged stress.json"):
            stress_part(broken, ready.study, "x", ())


def test_a_detector_has_no_curves(tmp_path: Path) -> None:
    detector = read_study(Path(str(files("simulations.studies").joinpath("s2_detector.toml"))))
    with pytest.raises(BadInput, match="--stress: expected a study other than one of detection"):
        Options(detector, stress=tmp_path)
