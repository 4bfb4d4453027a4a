"""The list of trained models."""

import os
from pathlib import Path

import pytest

from server.models import latest_run, list_models, untrained
from shared.errors import WorkFailed
from shared.study import parse_study
from tests.server.conftest import CONTENT


def finished_run(runs: Path, name: str, content: bytes, at: int, study: str = "") -> Path:
    (runs / name).mkdir(parents=True)
    path = runs / name / "model.safetensors"
    path.write_bytes(content)
    os.utime(path, (at, at))
    if study:
        (runs / name / "study.json").write_text(study)
    return runs / name


def test_models_come_oldest_first_with_their_hash(tmp_path: Path) -> None:
    finished_run(tmp_path, "b-1", b"abc", at=2000)
    finished_run(tmp_path, "a-2", b"", at=1000)
    (tmp_path / "unfinished").mkdir()

    old, new = list_models(tmp_path)
    assert (old.path.parent.name, new.path.parent.name) == ("a-2", "b-1")
    assert new.bytes == 3
    assert new.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert new.finished.isoformat() == "1970-01-01T00:33:20+00:00"


def test_what_no_round_trained_is_told(tmp_path: Path) -> None:
    assert untrained(tmp_path) == ()
    (tmp_path / "metrics.json").write_text('{"inputs": {"untrained": ["expression"]}}')
    assert untrained(tmp_path) == ("expression",)


def test_no_folder_no_models(tmp_path: Path) -> None:
    assert list_models(tmp_path / "nothing") == []


def test_the_latest_run_is_that_of_the_same_study(tmp_path: Path) -> None:
    study = parse_study(CONTENT)
    finished_run(tmp_path, "small-1", b"", 1000, study.canonical())
    newest = finished_run(tmp_path, "small-2", b"", 2000, study.canonical())
    finished_run(tmp_path, "small-3", b"", 3000, study.canonical().replace('"seed":0', '"seed":1'))
    finished_run(tmp_path, "strange", b"", 4000)
    assert latest_run(tmp_path, study) == newest


def test_a_study_without_a_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="expected a model of study small under"):
        latest_run(tmp_path, parse_study(CONTENT))
