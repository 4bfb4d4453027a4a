"""Runs that were really trained, held against each other; and folders that cannot be compared."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from shared.errors import BadInput
from shared.metrics import interval
from simulations.comparison.comparison import Comparison, compare, write_comparison
from simulations.comparison.differences import differences, others, why_unpaired
from simulations.comparison.runs import Run
from simulations.comparison.terminal import print_comparison
from simulations.draws import FILE, read_draws
from simulations.simulate import Options, simulate

pytestmark = pytest.mark.slow  # two whole simulations


@pytest.fixture(scope="module")
def other(tiny_run: Any, make_study: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The patients, folds and seeds of the tiny run, trained for one round instead of three."""
    folder = tmp_path_factory.mktemp("other") / "one-round"
    options = Options(
        make_study("training.rounds=1"), cohort=str(tiny_run.cohort), arms=("pooled", "local"), repeats=2, out=folder,
        cache=tiny_run.cache,
    )  # fmt: skip
    return simulate(options, lambda what, done, total: None, lambda line: None)[0]


@pytest.fixture(scope="module")
def compared(tiny_run: Any, other: Path) -> Comparison:
    return compare([tiny_run.folder, other])


@pytest.fixture
def copied(tiny_run: Any, tmp_path: Path) -> Path:
    """A run folder that a test may spoil."""
    folder = tmp_path / "copied"
    folder.mkdir()
    for name in ("metrics.json", "study.toml", FILE):
        shutil.copy(tiny_run.folder / name, folder / name)
    return folder


def _change(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    change(metrics)
    (folder / "metrics.json").write_text(json.dumps(metrics))


def test_differences_on_the_same_patients_are_paired(compared: Comparison, tiny_run: Any, other: Path) -> None:
    assert {(row.arm, row.where, row.metric) for row in compared.found} == {
        (arm, where, metric)
        for arm in ("pooled", "local")
        for where in ("own_site_mean", "unseen")
        for metric in ("auc", "accuracy")
    }
    first, second = (read_draws(folder / FILE) for folder in (tiny_run.folder, other))
    for row in compared.found:
        key = (row.arm, row.where, row.metric)
        assert row.paired
        assert row.difference == pytest.approx(second[key].points.mean() - first[key].points.mean())
        assert (row.low, row.high) == interval(second[key].draws - first[key].draws)
    assert any(row.difference != 0 for row in compared.found)


def test_a_run_against_itself_differs_by_nothing(tiny_run: Any, copied: Path) -> None:
    for row in compare([tiny_run.folder, copied]).found:
        assert (row.difference, row.low, row.high, row.paired) == (0, 0, 0, True)


def test_other_folds_are_unpaired_and_wider(tiny_run: Any, copied: Path) -> None:
    _change(copied, lambda metrics: metrics["pairing"]["folds"][0].__setitem__(0, "0" * 64))
    comparison = compare([tiny_run.folder, copied])
    assert why_unpaired(comparison.runs[1], comparison.runs[0]) == "other folds, repeats or seed"
    row = next(r for r in comparison.found if (r.arm, r.where, r.metric) == ("pooled", "own_site_mean", "accuracy"))
    assert (row.difference, row.paired) == (0, False)
    draws = read_draws(copied / FILE)["pooled", "own_site_mean", "accuracy"].draws
    assert row.low is not None
    assert row.high is not None
    independent = 2 * 1.96 * np.sqrt(2) * np.nanstd(draws)  # the same draws twice, put together at random
    assert row.high - row.low == pytest.approx(independent, rel=0.15)
    assert any("not paired" in sentence for sentence in comparison.sentences)


def test_other_patients_are_said_first(tiny_run: Any, copied: Path) -> None:
    _change(copied, lambda metrics: metrics["pairing"].update(cohort="0" * 64, folds=[["1" * 64]]))
    comparison = compare([tiny_run.folder, copied])
    assert why_unpaired(comparison.runs[1], comparison.runs[0]) == "other patients or labels"


def test_a_run_without_draws_has_differences_without_intervals(tiny_run: Any, copied: Path) -> None:
    (copied / FILE).unlink()
    comparison = compare([tiny_run.folder, copied])
    assert {(row.low, row.high, row.paired) for row in comparison.found} == {(None, None, False)}
    assert any("kept no bootstrap draws" in sentence for sentence in comparison.sentences)


def test_settings_that_differ_are_named_and_no_others(compared: Comparison) -> None:
    rows = {name: [cell.text for cell in cells] for name, _, cells in compared.settings.rows}
    assert rows == {"training.rounds": ["3", "1"], "run.arms": ["federated, pooled, local", "pooled, local"]}
    facts = {name: cells[-1].text for name, _, cells in compared.facts.rows}
    assert facts["Study digest"] == "differs"
    assert facts["Patients and labels"] == facts["Folds and test patients"] == "same"


def test_everything_is_written(compared: Comparison, tiny_run: Any, tmp_path: Path) -> None:
    paths = write_comparison(compared, tmp_path / "new" / "both.html")
    page, markdown, table, *pictures = paths
    assert [path.name for path in (page, markdown, table)] == ["both.html", "both.md", "both.csv"]
    assert len(pictures) == 8  # two metrics, two places: what is reached, and how far it is apart
    text = page.read_text()
    pooled = tiny_run.metrics["arms"]["pooled"]["unseen"]["accuracy"]["value"]
    assert f"{pooled:.3f}" in text
    assert "training.rounds" in text
    assert 'src="' not in text
    assert "| out: Pooled |" in markdown.read_text()
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len([row for row in rows if row["row"] == "difference"]) == len(compared.found)
    told = next(
        row for row in rows
        if [row[key] for key in ("row", "run", "arm", "where", "metric")]
        == ["arm", "out", "pooled", "unseen", "accuracy"]
    )  # fmt: skip
    assert float(told["value"]) == pooled
    assert all(picture.read_text().startswith("<?xml") for picture in pictures)


def test_the_terminal_shows_names_and_figures(compared: Comparison) -> None:
    console = Console(width=160, record=True)
    print_comparison(compared, console)
    text = console.export_text()
    for part in ("training.rounds", "A: Pooled", "B − A", "paired"):
        assert part in text
    legend = text.splitlines()[:2]
    assert [(line[:3], line.rsplit("/", 1)[1].strip()) for line in legend] == [("A: ", "out"), ("B: ", "one-round")]


def test_long_lists_of_settings_are_cut_on_the_terminal_alone(tiny_run: Any, copied: Path) -> None:
    sites = {f"hospital-{number:03d}": {} for number in range(7)}
    _change(copied, lambda metrics: metrics["cohort"].update(sites=sites))
    comparison = compare([tiny_run.folder, copied])
    console = Console(width=160, record=True)
    print_comparison(comparison, console)
    text = console.export_text()
    assert "hospital-000, hospital-001, hospital-00…" in text
    assert "hospital-006" not in text
    assert any("hospital-006" in cell.text for _, _, cells in comparison.settings.rows for cell in cells)


@pytest.mark.parametrize(
    ("change", "why", "warned"),
    [
        (lambda m: m["protocol"].update(name="leave-one-site-out"), "other protocol: holdout vs leave-one-site-out", 1),
        (lambda m: m["pairing"].update(source="lung"), "other cohort: cohort vs lung", 1),
        (lambda m: m["pairing"].update(everyone="0" * 64), "other patients or another --split", 1),
        (lambda m: m.update(seed=7), "other seed: 0 vs 7", 0),
        (lambda m: m["protocol"].update(repeats=5), "other repeats: 2 vs 5", 0),
    ],
)
def test_the_true_reason_is_given_and_other_patients_are_warned_of(
    tiny_run: Any, copied: Path, change: Callable[[dict[str, Any]], None], why: str, warned: int
) -> None:
    _change(copied, change)
    _change(copied, lambda metrics: metrics["pairing"].update(folds=[["1" * 64]]))
    comparison = compare([tiny_run.folder, copied])
    assert why_unpaired(comparison.runs[1], comparison.runs[0]) == why
    warnings = [sentence for sentence in comparison.sentences if sentence.startswith("Warning: copied and out ")]
    assert len(warnings) == warned
    assert all(f"({why})" in sentence for sentence in warnings)


def test_too_few_runs_and_one_twice(tiny_run: Any) -> None:
    with pytest.raises(BadInput, match="expected at least two run folders, got 1"):
        compare([tiny_run.folder])
    with pytest.raises(BadInput, match="expected every run folder once, got it twice"):
        compare([tiny_run.folder, tiny_run.folder / "."])


def test_folders_that_are_no_runs(tiny_run: Any, copied: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected the folder of a finished run, got no folder"):
        compare([tiny_run.folder, tmp_path / "nowhere"])
    (copied / "study.toml").unlink()
    with pytest.raises(BadInput, match="got a folder without study.toml"):
        compare([tiny_run.folder, copied])


def test_damaged_and_foreign_metrics(tiny_run: Any, copied: Path) -> None:
    _change(copied, lambda metrics: metrics.pop("protocol"))  # as a deployment's
    with pytest.raises(BadInput, match="the run folder of a simulation, got metrics.json without protocol"):
        compare([tiny_run.folder, copied])
    (copied / "metrics.json").write_text("{")
    with pytest.raises(BadInput, match="got a damaged file"):
        compare([tiny_run.folder, copied])


def test_another_task_is_refused(tiny_run: Any, copied: Path) -> None:
    study = (copied / "study.toml").read_text()
    (copied / "study.toml").write_text(study.replace('column = "grade"', 'column = "stage"'))
    with pytest.raises(BadInput, match="column stage.*compare runs that predict the same"):
        compare([tiny_run.folder, copied])


def test_where_to_write_is_checked(compared: Comparison, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected a file that ends with .html, got a folder"):
        write_comparison(compared, tmp_path)
    with pytest.raises(BadInput, match="expected a file that ends with .html, got 'x.pdf'"):
        write_comparison(compared, tmp_path / "x.pdf")


def test_the_same_folds_are_the_same_patients_whatever_their_folder_is_called(tiny_run: Any, copied: Path) -> None:
    _change(copied, lambda metrics: metrics["pairing"].update(source="a copy under another name"))
    found = compare([tiny_run.folder, copied])
    assert others(found.runs[1], found.runs[0]) == []
    assert why_unpaired(found.runs[1], found.runs[0]) == ""


def test_an_index_that_was_defined_otherwise_is_not_compared() -> None:
    """Before hospitals were counted, the c-index within sites of own patients was a mean of the larger hospitals'."""

    def run_of(name: str, value: dict[str, Any]) -> Run:
        arm = {"own_site_mean": {"c_index": {"value": 0.7}, "c_index_within_site": value}}
        metrics = {"arms": {"federated": arm}, "protocol": {}, "cohort": {}}
        return Run(name, Path(name), metrics, {}, {})

    old, new = run_of("old", {"value": 0.7}), run_of("new", {"value": 0.6, "sites": 3})
    assert {row.metric for row in differences([old, new])} == {"c_index"}
    assert {row.metric for row in differences([new, new])} == {"c_index", "c_index_within_site"}
