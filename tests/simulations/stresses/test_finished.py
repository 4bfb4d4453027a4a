"""Curves that are there already, in the report of a run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.errors import BadInput
from shared.study import Study
from simulations.adapt import override
from simulations.ready import Ready
from simulations.simulate import Options, simulate
from simulations.stresses.finished import of_study, read_stress

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
    assert not of_study(content, override(ready.study, ("training.learning_rate=0.5",)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "got a folder without it"),
        ("{", "got a damaged one"),
        ("[]", "got one without study, cohort"),
        ('{"study": {}, "cohort": {}}', "got one without metric, seeds"),
    ],
)
def test_what_is_no_finished_folder(text: str | None, said: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "stress.json").write_text(text)
    with pytest.raises(BadInput, match="--stress: expected a folder of simulations/stress.py") as caught:
        read_stress(tmp_path)
    assert said in str(caught.value)
    with pytest.raises(BadInput, match="got no folder: "):
        read_stress(tmp_path / "nowhere")
