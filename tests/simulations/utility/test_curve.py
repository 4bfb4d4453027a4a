"""`python simulations/privacy_utility.py` on small hospitals of features: every file, every arm, the same patients."""

import csv
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import simulations
from simulations.synthetic import FEATURES, cohort_folder, feature_hospitals, write_cohort

SCRIPT = Path(simulations.__file__).with_name("privacy_utility.py")
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run the script in this process, in a folder of its own: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--cache", str(tmp_path / "cache"), *arguments])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def twenty_a_hospital(tmp_path: Path) -> tuple[str, ...]:
    """Options that choose a cohort which is drawn already."""
    hospitals = feature_hospitals(20)
    for seed in (0, 100):
        folder = cohort_folder(tmp_path / "cache", FEATURES, seed, hospitals)
        write_cohort(folder, kind=FEATURES, seed=seed, workers=1, hospitals=hospitals)
    return ("--features-only", "--patients-per-site", "20", "--study", "features_linear")


@pytest.mark.slow
def test_a_curve_has_a_row_an_arm_measured_on_the_same_patients(
    command: Command, twenty_a_hospital: tuple[str, ...], tmp_path: Path
) -> None:
    code, out, err = command(
        *twenty_a_hospital, "--epsilons", "8,0.2", "--repeats", "2", "--set", "training.rounds=2", "--out", "curve"
    )
    assert code == 0, err
    content = json.loads((tmp_path / "curve" / "utility.json").read_text())
    rows = {row["arm"]: row for row in content["rows"]}
    assert list(rows) == ["local", "federated", "epsilon 8", "epsilon 0.2", "pooled"]
    assert {row["values"]["auc"]["n"] for row in rows.values()} == {rows["local"]["values"]["auc"]["n"]}
    for name, row in rows.items():
        value = row["values"]["auc"]
        assert value["low"] <= value["value"] <= value["high"]
        assert value["sd"] is not None
        assert row["worst_site"]["value"] <= value["value"]
        assert 0 <= row["together"]["ece"]["value"] <= 1
        assert (row["difference"] is None) == (name == "federated")
        assert (row["privacy"] is not None) == name.startswith("epsilon")
    for name, epsilon in (("epsilon 8", 8.0), ("epsilon 0.2", 0.2)):
        spent = rows[name]["privacy"]
        assert 0.97 * epsilon < spent["epsilon"] <= epsilon < spent["epsilon_replace_one"]
        assert (spent["delta"], spent["expected_batch"]) == (1e-5, 14.0)
    assert rows["epsilon 0.2"]["privacy"]["verdict"] == "nothing"
    assert content["findings"]["steps"][0]["from"] == "federated"

    written = (tmp_path / "curve" / "utility.md").read_text()
    assert "| Federated, epsilon 8 |" in written
    assert "no figure here says anything about medicine" in written
    with (tmp_path / "curve" / "utility.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["place"] == "own_site_mean" and line["metric"] == "auc"]
    assert [float(line["value"]) for line in lines] == [row["values"]["auc"]["value"] for row in content["rows"]]
    for name in ("utility.svg", "utility.png"):
        assert (tmp_path / "curve" / name).stat().st_size > 5000
    assert "Federated, epsilon 8" in out
    everything = "".join(path.read_text() for path in (tmp_path / "curve").glob("*") if path.suffix != ".png")
    assert "FEAT-" not in everything
    assert sorted(path.name for path in (tmp_path / "curve").iterdir()) == [
        "utility.csv", "utility.json", "utility.md", "utility.png", "utility.svg",
    ]  # fmt: skip


@pytest.mark.slow
def test_tuning_tries_the_grids_on_another_cohort(
    command: Command, twenty_a_hospital: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simulations.utility import tuning

    monkeypatch.setattr(tuning, "CLIPS", (0.3,))
    monkeypatch.setattr(tuning, "STEPS", (1.0,))
    monkeypatch.setattr(tuning, "SAMPLINGS", ((1.0, 1), (0.5, 2)))
    monkeypatch.setattr(tuning, "PLAIN", {"sgd": (0.1,)})
    code, out, err = command(
        *twenty_a_hospital,
        "--tune",
        "--repeats",
        "1",
        "--epsilons",
        "8",
        "--set",
        "training.rounds=1",
        "--out",
        "tuned",
    )
    assert code == 0, err
    assert "Settings: tuned/tuning.md" in out
    content = json.loads((tmp_path / "tuned" / "tuning.json").read_text())
    assert content["seeds"] == [100]
    assert [row["private"] for row in content["rows"]].count(True) == 2
    halved = next(row for row in content["rows"] if "privacy.sample_rate=0.5" in row["settings"])
    assert "privacy.expected_batch=7.0" in halved["settings"]  # of the 14 training patients a hospital
    assert 0 <= halved["by_epsilon"]["8"] <= 1
    assert (tmp_path / "tuned" / "tuning.csv").read_text().count("\n") == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--study", "bone"], "--study: expected one of features_linear, features_relapse, features_survival"),
        (["--epsilons", "8,x"], "--epsilons: expected numbers such as 8,4,1, got '8,x'; correct it"),
        (["--epsilons", "8,-1"], "--epsilons: expected numbers above 0, got -1; correct it"),
        (["--epsilons", "8,8"], "--epsilons: expected different numbers, got 8, 8; correct it"),
        (["--epsilons", ","], "--epsilons: expected different numbers, got none; correct it"),
        (["--repeats", "0"], "--repeats: expected at least 1, got 0; correct it"),
        (["--patients-per-site", "5"], "--patients-per-site: expected 20 to 4999, got 5; correct it"),
        (["--patients-per-site", "50", "--cohort", "bone"], "--patients-per-site: expected --features-only beside it"),
        (["--features-only", "--cohort", "bone"], "--features-only: expected no --cohort beside it, got 'bone'"),
        (["--cohort", "nowhere"], "--cohort: expected a folder or one of "),
    ],
)
def test_wrong_options_give_one_sentence(command: Command, arguments: list[str], message: str) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}"), err
    assert len(err.splitlines()) == 1


def test_a_study_without_privacy_terms_is_refused(command: Command, tmp_path: Path) -> None:
    text = (SCRIPT.parent / "studies" / "features_linear.toml").read_text()
    (tmp_path / "mine.toml").write_text(text)
    code, _, err = command("--study", "mine.toml")
    assert code == 2
    assert 'features-linear: expected privacy.mode = "local", got off; add a section [privacy]' in err
