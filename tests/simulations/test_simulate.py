"""A whole simulation: what it leaves behind, what it counts, what it reuses."""

import gzip
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from shared.cohort.tables import read_clinical
from shared.errors import BadInput, CohortError
from shared.study import Study, parse_study, read_study
from simulations.arms import train_arm
from simulations.scores import measure_scores, score_arm
from simulations.simulate import Options, simulate

MakeStudy = Callable[..., Study]


def _quiet(what: str, done: int, total: int) -> None:
    """No progress wanted."""


def _run(options: Options) -> tuple[Path, dict[str, Any], list[str]]:
    said: list[str] = []
    folder, metrics = simulate(options, _quiet, said.append)
    return folder, metrics, said


def test_the_run_folder_holds_everything_and_nothing_else(tiny_run: Any) -> None:
    assert {path.name for path in tiny_run.folder.iterdir()} == {
        "metrics.json", "report.html", "study.toml", "model.safetensors", "gene_stats.safetensors", "manifest.json",
        "events.jsonl", "checkpoints", "study.json", "model-card.md", "draws.safetensors", "figures", "tables",
    }  # fmt: skip


def test_the_manifest_has_the_right_hashes(tiny_run: Any) -> None:
    files = json.loads((tiny_run.folder / "manifest.json").read_text())["files"]
    assert set(files) >= {"study.toml", "model.safetensors", "gene_stats.safetensors", "metrics.json"}
    for name, digest in files.items():
        assert hashlib.sha256((tiny_run.folder / name).read_bytes()).hexdigest() == digest


def test_the_study_of_the_run_reads_back_with_the_digest_of_the_metrics(tiny_run: Any) -> None:
    assert read_study(tiny_run.folder / "study.toml").digest == tiny_run.metrics["study"]["digest"]


def test_the_model_and_the_events_are_those_of_the_first_repeat(tiny_run: Any) -> None:
    saved = load_file(tiny_run.folder / "model.safetensors")
    digest = tiny_run.metrics["study"]["digest"]  # of the first repeat, whose seed is the study's own
    files = (tiny_run.folder / "checkpoints").rglob("study.json")
    (run,) = (f.parent for f in files if parse_study(json.loads(f.read_text())).digest == digest)
    assert {name: array.tolist() for name, array in saved.items()} == {
        name: array.tolist() for name, array in load_file(run / "model.safetensors").items()
    }
    events = [json.loads(line) for line in (tiny_run.folder / "events.jsonl").read_text().splitlines()]
    assert [event["round"] for event in events] == [1, 2, 3]
    assert events == tiny_run.metrics["arms"]["federated"]["rounds"]


def test_no_patient_is_named_anywhere_in_the_run_folder(tiny_run: Any) -> None:
    cases = [case.encode() for case in read_clinical(tiny_run.cohort)["case_id"]]
    files = [path for path in tiny_run.folder.rglob("*") if path.is_file()]
    assert len(files) > 10  # the checkpoints of two repeats among them
    for path in files:
        content = path.read_bytes()
        assert not [case for case in cases if case in content], path
    # the search would find them where they are
    store = next((tiny_run.cache / "hospitals").rglob("data/expression.tsv.gz"))
    assert any(case in gzip.decompress(store.read_bytes()) for case in cases)


def test_the_report_is_one_file_with_the_scores(tiny_run: Any) -> None:
    page = (tiny_run.folder / "report.html").read_text()
    assert "a command" in page
    assert f"{tiny_run.metrics['arms']['federated']['unseen']['accuracy']['value']:.3f}" in page


@pytest.mark.slow
def test_statistics_agree_with_patients(
    make_cohort: Callable[..., Path], make_study: MakeStudy, make_prepared: Callable[..., Any], tmp_path: Path
) -> None:
    """The closing wave's merged counts against scores of the very same patients (CONTRACT.md section 7)."""
    cohort = make_cohort(tmp_path / "cohort", {"AA": 260, "BB": 230, "CC": 210}, seed=1)
    prepared = make_prepared(cohort, make_study("training.rounds=4"), tmp_path / "cache")
    (fold,) = prepared.folds()
    trained = train_arm("federated", fold, prepared.hospitals, tmp_path / "run")
    patients = measure_scores(score_arm(fold, trained), fold)
    arm = json.loads(next((tmp_path / "run").rglob("metrics.json")).read_text())["arms"]["federated"]
    for where, statistics in {"own": arm["own"], **{f"sites.{s}": v for s, v in arm["sites"].items()}}.items():
        point = patients[where].point
        assert statistics["accuracy"]["n"] == patients[where].n
        assert statistics["accuracy"]["from"] == "statistics"
        for metric in ("accuracy", "balanced_accuracy", "macro_f1", "mcc"):
            assert statistics[metric]["value"] == pytest.approx(point[metric][0], abs=1e-12)
        for metric in ("brier", "ece"):
            assert statistics[metric]["value"] == pytest.approx(point[metric][0], abs=1e-6)
        for metric in ("auc", "micro_auc"):
            assert statistics[metric]["value"] == pytest.approx(point[metric][0], abs=0.002)
    assert patients["own"].n >= 200
    assert 0.6 < float(patients["own"].point["auc"][0]) < 0.99


@pytest.mark.slow
def test_leave_one_site_out_counts_every_site_as_unseen_once(
    tiny_cohort: Path, make_study: MakeStudy, tmp_path: Path
) -> None:
    study = make_study("split.protocol=leave-one-site-out", "training.rounds=1")
    _, metrics, _ = _run(
        Options(study, cohort=str(tiny_cohort), arms=("pooled",), out=tmp_path / "run", cache=tmp_path / "cache")
    )
    assert metrics["protocol"]["name"] == "leave-one-site-out"
    assert metrics["protocol"]["folds"] == 3
    assert metrics["cohort"]["unseen"]["patients"] == metrics["arms"]["pooled"]["unseen"]["accuracy"]["n"] == 75
    assert set(metrics["arms"]["pooled"]["sites"]) == {"02", "06", "HT"}
    apart = metrics["arms"]["pooled"]["unseen_sites"]  # every hospital where it was left out
    assert {site: part["accuracy"]["n"] for site, part in apart.items()} == {"02": 25, "06": 24, "HT": 26}
    mean = sum(part["accuracy"]["value"] for part in apart.values()) / 3
    assert metrics["arms"]["pooled"]["unseen"]["accuracy"]["value"] == pytest.approx(mean)
    assert metrics["cohort"]["excluded"] == {"hospital too small to be left out in turn": 7}
    bins = metrics["calibration"]["pooled"]["unseen"]["bins"]
    assert sum(each["n"] for each in bins) == 75


@pytest.mark.slow
def test_hospitals_and_patients_without_data_are_counted(
    make_cohort: Callable[..., Path], make_study: MakeStudy, tmp_path: Path
) -> None:
    """Nobody of NN has expression, nor have two patients of AA: five have no modality, and one has no label."""
    cohort = make_cohort(tmp_path / "cohort", {"AA": 24, "BB": 22, "NN": 3})
    lines = [line.split("\t") for line in (cohort / "expression.tsv").read_text().splitlines()]
    gone = {"TCGA-NN-0000", "TCGA-NN-0001", "TCGA-NN-0002", "TCGA-AA-0000", "TCGA-AA-0001"}
    kept = [i for i, name in enumerate(lines[0]) if name not in gone]
    (cohort / "expression.tsv").write_text("\n".join("\t".join(line[i] for i in kept) for line in lines) + "\n")
    table = (cohort / "clinical.tsv").read_text().splitlines()
    table = [line.rsplit("\t", 1)[0] + "\t" if line.startswith("TCGA-BB-0003") else line for line in table]
    (cohort / "clinical.tsv").write_text("\n".join(table) + "\n")
    study = make_study("training.rounds=1", "modalities.clinical.columns=['karnofsky']")  # which nobody has
    _, metrics, said = _run(
        Options(study, cohort=str(cohort), arms=("federated",), out=tmp_path / "run", cache=tmp_path / "cache")
    )
    assert metrics["cohort"]["excluded"] == {"label missing": 1, "no modality of the study": 5}
    assert metrics["cohort"]["patients"] == 49 - 6
    assert said[0] == metrics["notes"][0] == "The cohort has no clinical: the study was run without."


@pytest.mark.slow
def test_the_same_seed_twice_gives_the_same_bytes(tiny_cohort: Path, make_study: MakeStudy, tmp_path: Path) -> None:
    """metrics.json apart from times; nothing is shared between the two runs but the cohort."""

    def run(name: str) -> tuple[bytes, bytes]:
        folder, _, _ = _run(
            Options(
                make_study("training.rounds=2"),
                cohort=str(tiny_cohort),
                out=tmp_path / name / "run",
                cache=tmp_path / name / "cache",
            )
        )
        text = (folder / "metrics.json").read_text()
        assert text.count('"seconds":') == 2  # one a round of the federation
        timeless = re.sub(r'"(started|seconds)": [^,\n]*|"timing": \{[^}]*\{[^}]*\}[^}]*\}', "", text)
        assert '"prepare_s"' not in timeless
        return timeless.encode(), (folder / "draws.safetensors").read_bytes()

    assert run("first") == run("second")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"arms": ("federated", "central")},
            "--arms: expected some of federated, pooled, local, finetuned, personal, iid, got central",
        ),
        ({"arms": ()}, "--arms: expected some of federated, pooled, local, finetuned, personal, iid, got none"),
        ({"repeats": 0}, "--repeats: expected at least 1, got 0"),
        ({"min_site_patients": -3}, "--min-site-patients: expected at least 1, got -3"),
        ({"folds": -1}, "--folds: expected at least 1, got -1"),
        (
            {"folds": 2},
            "--folds: expected --protocol patient-kfold, preserved-site-kfold or leave-one-site-out beside it, "
            "got holdout",
        ),
        ({"seed": -2}, "--seed: expected 0 or more, or -1 for the study's, got -2"),
        ({"out": Path(__file__)}, "--out: expected a folder, got the file "),
        ({"out": Path(__file__) / "run"}, "--out: expected a folder, got the file "),
    ],
)
def test_impossible_options_are_refused(make_study: MakeStudy, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Options(make_study(), **options)


def test_folds_go_with_leaving_sites_out(make_study: MakeStudy) -> None:
    assert Options(make_study(), folds=2, settings=("split.protocol=leave-one-site-out",)).folds == 2


@pytest.mark.slow
def test_pictures_that_fail_cost_no_arm(
    tiny_run: Any, make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("slides/TCGA-02-0000.svs: gone")

    monkeypatch.setattr("simulations.training.examine", fail)
    study = make_study("training.rounds=1")
    folder, metrics, _ = _run(
        Options(study, cohort=str(tiny_run.cohort), arms=("federated",), out=tmp_path, cache=tiny_run.cache)
    )
    assert metrics["arms"]["federated"]["own"]["auc"]["value"] is not None
    assert any("could not be shown (OSError)" in note for note in metrics["notes"])
    assert "TCGA-02-0000" not in (folder / "report.html").read_text()


def test_a_missing_cohort_is_refused(make_study: MakeStudy, tmp_path: Path) -> None:
    cohorts = ", ".join(f"`{name}`" for name in ("synthetic", "bone", "breast", "features", "lung"))
    expected = f"--cohort: expected a folder or one of {cohorts}, got 'nowhere'; check the path"
    with pytest.raises(CohortError, match=expected):
        _run(Options(make_study(), cohort="nowhere", cache=tmp_path))


@pytest.mark.slow
def test_a_second_run_reuses_the_prepared_hospitals(tiny_run: Any, make_study: MakeStudy, tmp_path: Path) -> None:
    stores = {path: path.stat().st_mtime_ns for path in tiny_run.cache.rglob("manifest.json")}
    assert len(stores) == 4
    _run(
        Options(
            make_study("training.rounds=1"), cohort=str(tiny_run.cohort), arms=("pooled",), out=tmp_path,
            cache=tiny_run.cache,
        )
    )  # fmt: skip
    assert {path: path.stat().st_mtime_ns for path in tiny_run.cache.rglob("manifest.json")} == stores


@pytest.mark.slow
def test_a_run_folder_goes_on_with_its_own_hospitals_only(tiny_run: Any, make_study: MakeStudy, tmp_path: Path) -> None:
    """A finished federation is not trained again, and never stands in for one of other hospitals."""
    options = Options(
        make_study(), cohort=str(tiny_run.cohort), arms=("federated",), out=tmp_path, cache=tiny_run.cache
    )
    _, first, _ = _run(options)
    checkpoint = next(tmp_path.rglob("latest.safetensors"))
    written = checkpoint.stat().st_mtime_ns
    _, again, _ = _run(options)
    assert checkpoint.stat().st_mtime_ns == written
    assert again["arms"] == first["arms"]
    _, other, _ = _run(replace(options, min_site_patients=25))  # the same study, two of the three hospitals
    assert {site for round_ in other["arms"]["federated"]["rounds"] for site in round_["sites"]} == {"02", "HT"}


@pytest.mark.slow
def test_a_modality_that_only_unseen_patients_have_does_no_harm(
    make_cohort: Callable[..., Path], make_study: MakeStudy, tmp_path: Path
) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 22, "BB": 22, "ZZ": 8})
    rows = [line.split("\t") for line in (cohort / "clinical.tsv").read_text().splitlines()]
    rows = [row if "-ZZ-" in row[0] or row[0] == "case_id" else [row[0], "", *row[2:]] for row in rows]
    (cohort / "clinical.tsv").write_text("\n".join("\t".join(row) for row in rows) + "\n")
    study = make_study("training.rounds=1", "modalities.clinical.columns=['age_at_diagnosis']")
    _, metrics, _ = _run(Options(study, cohort=str(cohort), out=tmp_path / "run", cache=tmp_path / "cache"))
    assert metrics["cohort"]["sites"]["AA"]["modalities"] == {"expression": 22, "clinical": 0}
    assert set(metrics["baselines"]) == {"site_alone", "linear_expression"}  # nobody to fit the other floors on


@pytest.mark.slow
def test_genes_that_never_vary_do_no_harm(
    make_cohort: Callable[..., Path], make_study: MakeStudy, tmp_path: Path
) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 22, "BB": 22})
    lines = [line.split("\t") for line in (cohort / "expression.tsv").read_text().splitlines()]
    constant = [lines[0], *([line[0], *["7.0"] * (len(line) - 1)] for line in lines[1:])]
    (cohort / "expression.tsv").write_text("\n".join("\t".join(line) for line in constant) + "\n")
    _, metrics, _ = _run(
        Options(make_study("training.rounds=1"), cohort=str(cohort), out=tmp_path / "run", cache=tmp_path / "cache")
    )
    assert metrics["cohort"]["sites"]["AA"]["modalities"] == {
        "expression": 0,
        "clinical": 22,
    }  # said to be not measured
    assert set(metrics["baselines"]) == {"site_alone", "linear_clinical"}
