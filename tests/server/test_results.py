"""The run folder: what it holds, and that an unfinished one is taken up again."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from server.results import open_run, read_rounds, save_model, write_manifest, write_results
from server.rounds import Finished
from shared.digests import sha256_file
from shared.study import parse_study
from tests.federation import Run, tiny_study

STUDY = tiny_study()


def test_an_unfinished_run_of_the_same_study_is_taken_up(tmp_path: Path) -> None:
    first = open_run(tmp_path, STUDY, "1")
    assert first == tmp_path / "tiny-1"
    assert open_run(tmp_path, STUDY, "2") == first
    assert open_run(tmp_path, tiny_study(training={"rounds": 9}), "3") == tmp_path / "tiny-3"
    (first / "unfinished").unlink()
    assert open_run(tmp_path, STUDY, "4") == tmp_path / "tiny-4"
    assert parse_study(json.loads((first / "study.json").read_text())).digest == STUDY.digest


def test_a_model_with_and_without_genes(tmp_path: Path) -> None:
    arrays = {"w": np.ones((2, 3), dtype=np.float32)}
    save_model(tmp_path, arrays, None)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    table = np.arange(4.0).reshape(2, 2).T
    save_model(tmp_path, arrays, table)
    np.testing.assert_array_equal(load_file(tmp_path / "gene_stats.safetensors")["gene_statistics"], table)


def test_the_manifest_hashes_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / "other").write_text("x")
    write_manifest(tmp_path)
    files = json.loads((tmp_path / "manifest.json").read_text())["files"]
    assert files == {"metrics.json": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}


def test_the_folder_of_a_finished_run(undisturbed: Run) -> None:
    folder = undisturbed.folder
    assert {path.name for path in folder.iterdir()} == {
        *("study.json", "study.toml", "metrics.json", "events.jsonl", "manifest.json", "checkpoints"),
        *("model.safetensors", "gene_stats.safetensors", "model-card.md"),
    }
    hashes = json.loads((folder / "manifest.json").read_text())["files"]
    assert hashes == {name: sha256_file(folder / name) for name in hashes}
    assert set(hashes) == {
        "study.json",
        "study.toml",
        "events.jsonl",
        "metrics.json",
        "model.safetensors",
        "gene_stats.safetensors",
        "model-card.md",
    }
    assert [record["round"] for record in read_rounds(folder)] == [1, 2, 3, 4]


def test_metrics_of_a_deployment(undisturbed: Run) -> None:
    metrics = undisturbed.metrics
    assert metrics["study"] == {
        "name": "tiny",
        "digest": STUDY.digest,
        "task": "classification",
        "architecture": "linear",
        "parameters": 3 * (5 + 2) + 3,
    }
    # A holds out 3 x 4, B 3 x 5, C 3 x 5 patients
    arm = metrics["arms"]["federated"]
    assert [arm["sites"][site]["accuracy"]["n"] for site in "ABC"] == [12, 15, 15]
    accuracy = arm["own"]["accuracy"]
    assert (accuracy["n"], accuracy["from"], accuracy["reason"]) == (42, "statistics", None)
    assert 0 <= accuracy["low"] < accuracy["value"] < accuracy["high"] <= 1
    assert arm["own"]["brier"]["low"] is None  # a sum says nothing of its spread
    correct = sum(arm["sites"][site]["accuracy"]["value"] * n for site, n in zip("ABC", (12, 15, 15), strict=True))
    assert abs(accuracy["value"] - correct / 42) < 1e-12
    assert metrics["sites"]["C"]["buckets"] == {"clinical": "10-19", "fusion": "10-19"}
    assert {site: terms["mode"] for site, terms in metrics["privacy"].items()} == dict.fromkeys("ABC", "off")
    assert metrics["refused"] == {}
    genes = STUDY.content()["modalities"]["expression"]["genes_sha256"]
    assert metrics["inputs"] == {"encoders": {}, "stain": "", "genes_sha256": genes, "untrained": []}


def test_running_statistics_are_no_parameters(tmp_path: Path) -> None:
    shapes = {"norm.weight": 2, "norm.running_mean": 2, "norm.running_var": 2, "head.weight": 6}
    arrays = {name: np.zeros(size, dtype=np.float32) for name, size in shapes.items()}
    write_results(tmp_path, STUDY, Finished(arrays, None, [], {}, {}, {}))
    assert json.loads((tmp_path / "metrics.json").read_text())["study"]["parameters"] == 8
