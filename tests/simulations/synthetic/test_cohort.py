import hashlib
from pathlib import Path

import pytest

from shared.errors import CohortError
from simulations.synthetic import DEFAULT_HOSPITALS, Hospital, cohort_digest, read_marker, write_cohort


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_two_workers_write_the_same_bytes_as_one(cohort: Path, hospitals: tuple[Hospital, ...], tmp_path: Path) -> None:
    write_cohort(tmp_path / "again", seed=3, workers=2, hospitals=hospitals)
    assert hashes(tmp_path / "again") == hashes(cohort)


def test_the_folder_holds_what_the_architecture_says(cohort: Path) -> None:
    names = {path.name for path in cohort.iterdir()}
    assert names == {"SYNTHETIC", "clinical.tsv", "expression.tsv.gz", "blood.csv", "slides.tsv", "slides"}


def test_the_marker_says_what_is_synthetic(cohort: Path, tmp_path: Path) -> None:
    marker = read_marker(cohort)
    assert marker is not None
    assert marker["seed"] == 3
    assert marker["modalities"] == ["slides", "expression", "blood", "clinical"]
    assert [hospital["code"] for hospital in marker["hospitals"]] == ["AA", "02", "CC"]
    assert read_marker(tmp_path) is None


@pytest.mark.slow
def test_an_interrupted_cohort_is_completed_and_its_slides_are_kept(
    cohort: Path, hospitals: tuple[Hospital, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "cohort"

    class KilledError(Exception):
        pass

    def kill_after_two(done: int, _: int) -> None:
        if done == 2:
            raise KilledError

    with pytest.raises(KilledError):
        write_cohort(folder, seed=3, workers=1, hospitals=hospitals, progress=kill_after_two)
    assert read_marker(folder) is None
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("slides/*.svs")}
    assert len(kept) == 2
    last = max(path.name for path in cohort.glob("slides/*.svs"))
    (folder / "slides" / f"{last}.part").write_bytes(b"half a slide")

    seen: list[tuple[int, int]] = []
    write_cohort(folder, seed=3, workers=1, hospitals=hospitals, progress=lambda *step: seen.append(step))
    assert read_marker(folder) is not None
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert seen[-1][0] == seen[-1][1]
    assert hashes(folder) == hashes(cohort)


def test_a_finished_cohort_is_left_alone(cohort: Path, hospitals: tuple[Hospital, ...]) -> None:
    before = {path: path.stat().st_mtime_ns for path in cohort.rglob("*")}
    write_cohort(cohort, seed=3, hospitals=hospitals)
    assert {path: path.stat().st_mtime_ns for path in cohort.rglob("*")} == before


def test_another_cohort_is_never_overwritten(cohort: Path, hospitals: tuple[Hospital, ...]) -> None:
    with pytest.raises(CohortError, match="expected an empty folder or this synthetic cohort"):
        write_cohort(cohort, seed=4, hospitals=hospitals)


def test_a_folder_of_real_data_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "clinical.tsv").write_text("case_id\n", encoding="utf-8")
    with pytest.raises(CohortError, match="expected an empty folder, got other files"):
        write_cohort(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["clinical.tsv"]


def test_a_digest_names_seed_and_hospitals() -> None:
    names = {cohort_digest(), cohort_digest(1), cohort_digest(0, DEFAULT_HOSPITALS[:3])}
    assert len(names) == 3
    assert cohort_digest() == cohort_digest(0, DEFAULT_HOSPITALS)
    assert all(len(name) == 12 for name in names)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"code": "A"}, "expected two letters or digits"),
        ({"patients": 0}, "expected 1 to 9999 patients"),
        ({"grade_mix": (0.5, 0.6, 0.1)}, "expected three shares that sum to 1"),
    ],
)
def test_a_wrong_hospital_is_refused(wrong: dict[str, object], said: str) -> None:
    right: dict[str, object] = {"code": "AA", "patients": 4}
    with pytest.raises(ValueError, match=said):
        Hospital(**{**right, **wrong})  # type: ignore[arg-type]
