"""A run folder is used only as it was written, and every fault is named at once."""

import json
from pathlib import Path

import numpy as np
import pytest

from server.results import write_manifest
from shared.cohort.genes import groups_digest
from shared.errors import BadInput
from shared.run_folder import ModelInputs, parse_run, read_run
from shared.study import parse_study
from tests.federation import CONTENT, GROUPS, tiny_study
from tests.finished_runs import finished_run

STUDY = tiny_study()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return finished_run(tmp_path / "run", STUDY)


def test_a_whole_run_reads_back(folder: Path) -> None:
    run = read_run(folder)
    assert (run.study, run.name) == (STUDY, f"tiny-{STUDY.digest[:8]}")
    assert run.statistics is not None
    np.testing.assert_array_equal(run.statistics.table, [[5.0] * 5, [2.0] * 5])
    assert {name: value.shape for name, value in run.model().named_parameters()} == {
        name: array.shape for name, array in run.arrays.items()
    }
    assert run.inputs.genes_sha256 == STUDY.content()["modalities"]["expression"]["genes_sha256"]


def test_every_damaged_or_missing_file_is_named(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    (folder / "study.toml").unlink()
    with pytest.raises(BadInput) as caught:
        read_run(folder)
    first, second = str(caught.value).splitlines()
    assert "model.safetensors: expected SHA-256 " in first
    assert first.endswith("it is damaged: copy it again")
    assert "study.toml: expected the file that manifest.json names, got none" in second


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected the folder of a finished run, got none; check the path"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(BadInput, match=r"expected manifest.json, got none; a pooled or unfinished run has no model"):
        read_run(tmp_path)
    (tmp_path / "manifest.json").write_text('{"schema": 2}')
    with pytest.raises(BadInput, match=r"manifest.json: expected a manifest of schema 1, got another or a damaged one"):
        read_run(tmp_path)


def test_a_manifest_cannot_name_a_file_elsewhere(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../model.safetensors"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadInput, match="expected a manifest of schema 1"):
        read_run(folder)


def test_a_run_without_a_model_says_so(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    write_manifest(folder)
    with pytest.raises(
        BadInput, match="model.safetensors: expected it in manifest.json, got none; the run has no model"
    ):
        read_run(folder)


def test_weights_and_gene_statistics_of_another_study_are_refused(folder: Path, tmp_path: Path) -> None:
    other = finished_run(tmp_path / "other", parse_study({**CONTENT, "modalities": {"clinical": {}}}))
    (folder / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    write_manifest(folder)
    with pytest.raises(BadInput, match="expected the weights of study tiny, got another model's"):
        read_run(folder).model()
    (folder / "gene_stats.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    write_manifest(folder)
    with pytest.raises(BadInput, match=r"gene_stats.safetensors: expected gene statistics of shape \(2, 5\), got none"):
        read_run(folder)


def test_a_study_that_this_version_reads_otherwise_is_refused(folder: Path) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps({**metrics, "study": {"digest": "f" * 64}}))
    write_manifest(folder)
    with pytest.raises(BadInput, match=f"expected the study with digest {'f' * 64}, got {STUDY.digest}"):
        read_run(folder)
    (folder / "metrics.json").write_text(json.dumps({"study": metrics["study"]}))
    write_manifest(folder)
    with pytest.raises(BadInput, match="metrics.json: expected the section inputs, got none that fits"):
        read_run(folder)


@pytest.mark.parametrize("section", ["x", [1], None])
def test_metrics_whose_study_is_no_object_are_refused(folder: Path, section: object) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps({**metrics, "study": section}))
    write_manifest(folder)
    with pytest.raises(BadInput, match="metrics.json: expected the section study, got none that fits"):
        read_run(folder)


def test_files_that_the_manifest_does_not_name_are_refused(folder: Path) -> None:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert parse_run(files, "here").study == STUDY
    with pytest.raises(BadInput, match=r"here: run.sh: expected only files that manifest.json names, got another"):
        parse_run({**files, "run.sh": b"x"}, "here")


def test_the_inputs_of_a_run() -> None:
    slides = {"slides": {"dim": 1280, "stain": "reinhard"}, "clinical": {}}
    study = tiny_study(modalities=slides, model={"architecture": "s1_crossattn"})
    sites = [{"slides": "a" * 64}, {"slides": ""}, {"slides": "b" * 64}, {"slides": "b" * 64}]
    rounds = [{"kept": ["clinical", "slides"]}, {"kept": ["clinical"]}]
    assert ModelInputs.of(study, sites, rounds) == ModelInputs(
        encoders={"slides": "b" * 64}, stain="reinhard", genes_sha256=groups_digest(GROUPS), untrained=("clinical",)
    )
    assert ModelInputs.of(study, [], []).encoders == {"slides": ""}
