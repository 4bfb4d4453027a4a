"""`python -m simulations.synthetic`."""

import runpy
import sys
from pathlib import Path

import pytest

from shared.errors import CohortError
from simulations import synthetic
from simulations.synthetic import BONE, BREAST, GLIOMA, KINDS, Hospital, Kind, cohort_folder, read_marker
from simulations.synthetic.bone.hospitals import BoneHospital
from simulations.synthetic.breast.hospitals import BreastHospital

FEW: dict[str, Kind] = {
    "glioma": Kind(**{**vars(GLIOMA), "hospitals": (Hospital("AA", 1),)}),
    "bone": Kind(**{**vars(BONE), "hospitals": (BoneHospital("AA", 1),)}),
    "breast": Kind(**{**vars(BREAST), "hospitals": (BreastHospital("AA", 1),)}),
}


def command(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> int:
    """Run the module as a person would, in a folder of its own, with a single patient a cohort; its exit code."""
    monkeypatch.setattr(sys, "argv", ["synthetic", "--workers", "1", *arguments])
    monkeypatch.setattr(synthetic, "KINDS", tuple(FEW.values()))
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("simulations.synthetic", run_name="__main__")
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.mark.parametrize("kind", FEW)
def test_it_writes_the_kind_and_seed_it_was_asked_for(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert command(monkeypatch, tmp_path, "--kind", kind, "--out", "cohort", "--seed", "5") == 0
    marker = read_marker(tmp_path / "cohort")
    assert marker is not None
    assert (marker["kind"], marker["seed"]) == (kind, 5)


def test_by_default_it_writes_where_a_simulation_looks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, tmp_path) == 0
    folder = cohort_folder(Path("cache"), FEW["glioma"], 0)
    assert read_marker(tmp_path / folder) is not None
    assert str(folder) in capsys.readouterr().out


def test_an_unknown_kind_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, tmp_path, "--kind", "lung") == 2
    assert "lung" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()


def test_a_folder_with_other_files_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").touch()
    assert command(monkeypatch, tmp_path, "--out", ".") == CohortError.exit_code
    assert "expected an empty folder, got other files" in capsys.readouterr().err


def test_every_kind_has_its_own_names() -> None:
    names = [(kind.name, kind.cohort) for kind in KINDS]
    assert names == [("glioma", "synthetic"), ("bone", "bone"), ("breast", "breast"), ("features", "features")]
