"""A detector trained across hospitals by the deployment's own apps, and the run folder it leaves."""

import gc
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from client.detection.pictures import SitePictures
from client.detection.session import DetectionSession
from client.local_layers import LAYERS
from client.local_state import read_local
from client.prepare.imaging.detector import open_detector
from client.prepare.imaging.detector_file import read_detector
from client.session import forget_sessions, warm_model
from shared.cohort.imaging_sheet import read_imaging
from shared.errors import BadInput, CohortError, Refused, StudyError, WorkFailed
from shared.metrics.detection import measure_detected
from shared.site import read_site
from shared.weights import new_model, take_arrays
from simulations.detection_arms import TrainedDetectors, make_picture_fold, train_detectors, training_device
from simulations.detection_scores import own_patients, score_detectors
from simulations.disclosure_file import DISCLOSURE_FILE
from simulations.hospitals import Hospital, split_cohort
from simulations.left_out_file import LEFT_OUT_FILE
from simulations.simulate import Options, simulate
from tests.picture_files import detection_study, write_pictures

SITES = {"A": 24, "B": 20, "C": 8, "D": 12}  # C is too small to train, D marks nothing
STUDY = detection_study(image_size=128, rounds=2, local_epochs=2)
STATISTICS = "running_mean"


def write_cohort(folder: Path) -> Path:
    """Patients of four hospitals in one folder."""
    cases = {f"{site}{i:02d}": site for site, count in SITES.items() for i in range(count)}
    write_pictures(folder, dict.fromkeys(cases, 1))
    rows = [f"{case}\t{site}" for case, site in cases.items()]
    (folder / "clinical.tsv").write_text("\n".join(["case_id\tsite", *rows]) + "\n")
    lines = (folder / "imaging.csv").read_text().splitlines()
    bare = [f"{line.split(',')[0]},{line.split(',')[0]},XR,,,," if line.startswith("D") else line for line in lines]
    (folder / "imaging.csv").write_text("\n".join(bare) + "\n")
    (folder / LEFT_OUT_FILE).write_text("reason,patients\nno picture was sent,5\n")
    return folder


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def hospitals(cohort: Path) -> list[Hospital]:
    return split_cohort(cohort, None, cohort.parent / "hospitals")


@pytest.fixture(scope="module")
def run(cohort: Path) -> tuple[Path, dict[str, Any]]:
    options = Options(
        study=STUDY,
        cohort=str(cohort),
        min_site_patients=12,
        arms=("federated", "pooled"),
        out=cohort.parent / "run",
        cache=cohort.parent / "cache",
    )
    return simulate(options, lambda *_: None, lambda _: None)


def test_who_trains_and_who_is_unseen(hospitals: list[Hospital]):
    fold = make_picture_fold(hospitals, STUDY, 12)
    assert fold.training == ("A", "B")
    assert {site: len(part) for site, part in fold.unseen.items()} == {"C": 8}
    assert fold.excluded == {"a hospital that marks no lesion": 12}
    with pytest.raises(CohortError, match="expected at least 2 sites with 24 patients .*, got 1 of 4; lower"):
        make_picture_fold(hospitals, STUDY, 24)
    split = STUDY.split.model_copy(update={"test_fraction": 0.0})
    with pytest.raises(StudyError, match="split.test_fraction: expected more than 0"):
        make_picture_fold(hospitals, STUDY.model_copy(update={"split": split}), 12)


def test_every_site_has_its_own_least_number_of_training_patients(cohort: Path, tmp_path: Path):
    """As the detector's own session asks it, so that no site is sent a study that it must refuse."""
    hospitals = split_cohort(cohort, None, tmp_path / "cache")
    file = {hospital.id: hospital.site_file for hospital in hospitals}
    trained = {site: data.patients for site, data in make_picture_fold(hospitals, STUDY, 8).sites.items()}
    assert make_picture_fold(hospitals, STUDY, 8).training == ("A", "B")  # C has fewer than the usual ten
    usual = file["C"].read_text()
    for stated, training in ((trained["C"], ("A", "B", "C")), (trained["C"] + 1, ("A", "B"))):
        file["C"].write_text(f"{usual}\n[disclosure]\nmin_patients = {stated}\n")
        assert make_picture_fold(hospitals, STUDY, 8).training == training
    file["C"].write_text(f"{usual}\n[disclosure]\nmin_patients = 1\n")
    file["A"].write_text(f"{file['A'].read_text()}\n[disclosure]\nmin_patients = {trained['A'] + 1}\n")
    fold = make_picture_fold(hospitals, STUDY, 8)
    assert fold.training == ("B", "C")
    assert set(fold.unseen) == {"A"}
    assert DetectionSession(read_site(file["C"]), STUDY).counts["imaging"] == trained["C"]
    with pytest.raises(Refused, match=f"expected at least {trained['A'] + 1} training patients, got {trained['A']};"):
        DetectionSession(read_site(file["A"]), STUDY)


def test_a_cohort_says_how_few_are_enough_for_pictures_too(cohort: Path, tmp_path: Path):
    shutil.copytree(cohort, tmp_path / "cohort")
    (tmp_path / "cohort" / DISCLOSURE_FILE).write_text("min_patients = 2\n")
    fold = make_picture_fold(split_cohort(tmp_path / "cohort", None, tmp_path / "cache"), STUDY, 8)
    assert fold.training == ("A", "B", "C")


def test_patients_of_exclude_csv_are_in_no_part_and_are_counted(cohort: Path, tmp_path: Path):
    everyone = make_picture_fold(split_cohort(cohort, None, tmp_path / "cache"), STUDY, 12)
    shutil.copytree(cohort, tmp_path / "cohort")
    tested = everyone.sites["A"].test[0].case_id
    gone = {tested, everyone.sites["A"].train[0].case_id, "C00", *(f"D{i:02d}" for i in range(3))}
    lines = ["case_id,date,reason", *(f"{case},2026-01-01,withdrew" for case in sorted(gone))]
    (tmp_path / "cohort/exclude.csv").write_text("\n".join(lines) + "\n")
    fold = make_picture_fold(split_cohort(tmp_path / "cohort", None, tmp_path / "cache"), STUDY, 12)
    for site, before in everyone.sites.items():
        for side in ("train", "test"):
            kept = [e.case_id for e in getattr(before, side) if e.case_id not in gone]
            assert [e.case_id for e in getattr(fold.sites[site], side)] == kept
    assert (len(fold.sites["A"].boxed), len(fold.unseen["C"])) == (7, 7)
    assert fold.excluded == {"exclude.csv": 6, "a hospital that marks no lesion": 9}


@pytest.mark.slow
def test_the_federated_arm_starts_anew_when_a_picture_has_changed(cohort: Path, tmp_path: Path):
    study = detection_study(rounds=1)
    for repeat in range(3):
        if repeat == 2:
            shutil.copytree(cohort, tmp_path / "changed" / cohort.name)
            picture = tmp_path / "changed" / cohort.name / "imaging/A00.png"
            Image.fromarray(255 - np.asarray(Image.open(picture))).save(picture)
        folder = tmp_path / "changed" / cohort.name if repeat == 2 else cohort
        hospitals = split_cohort(folder, None, tmp_path / "cache")
        train_detectors("federated", make_picture_fold(hospitals, study, 12), hospitals, tmp_path / "checkpoints")
        assert len(list((tmp_path / "checkpoints").iterdir())) == (2 if repeat == 2 else 1)


@pytest.mark.slow
def test_pictures_of_one_repeat_at_a_time_are_kept(cohort: Path, tmp_path: Path):
    def living() -> int:
        gc.collect()
        return sum(type(thing) is SitePictures for thing in gc.get_objects())

    def progress(what: str, done: int, total: int) -> None:
        if what == "training federated":
            seen.append(living() - before)

    seen: list[int] = []
    options = Options(
        study=detection_study(rounds=1),
        **{"cohort": str(cohort), "min_site_patients": 12, "arms": ("federated",), "repeats": 2},
        **{"out": tmp_path / "run", "cache": cohort.parent / "cache"},
    )
    forget_sessions()  # of other tests
    before = living()
    _, metrics = simulate(options, progress, lambda _: None)
    assert seen[0] == seen[2] == 3  # A, B and C, before each of the two repeats
    assert living() == before
    assert metrics["timing"]["prepare_s"] > 0


@pytest.mark.slow
def test_a_detector_of_an_earlier_run_goes(run: tuple[Path, dict[str, Any]], cohort: Path, tmp_path: Path):
    given: dict[str, Any] = {"cohort": str(cohort), "min_site_patients": 12, "cache": cohort.parent / "cache"}
    diverging, folder = detection_study(rounds=1, learning_rate=1e30), tmp_path / "diverging"
    shutil.copytree(run[0] / "detector", folder / "detector")
    with pytest.raises(WorkFailed):
        simulate(Options(study=diverging, arms=("pooled",), out=folder, **given), lambda *_: None, lambda _: None)
    assert not (folder / "detector").exists()
    again = shutil.copytree(run[0], tmp_path / "run")
    simulate(Options(study=STUDY, arms=("local",), out=again, **given), lambda *_: None, lambda _: None)
    assert not (again / "detector").exists()


@pytest.mark.slow
def test_a_folder_of_another_run_is_left_alone(run: tuple[Path, dict[str, Any]], cohort: Path):
    given: dict[str, Any] = {"cohort": str(cohort), "min_site_patients": 12, "out": run[0]}
    given |= {"cache": cohort.parent / "cache"}
    with pytest.raises(BadInput, match="which holds lesions .* with other settings; choose another --out"):
        simulate(Options(study=detection_study(rounds=1), **given), lambda *_: None, lambda _: None)
    assert (run[0] / "detector").exists()


@pytest.mark.slow
def test_one_network_where_the_arms_train_gives_all_scores(hospitals: list[Hospital]):
    fold = make_picture_fold(hospitals, STUDY, 12)
    networks = dict.fromkeys(fold.training, take_arrays(new_model(STUDY)))
    warm_model.cache_clear()
    assert set(score_detectors(fold, TrainedDetectors(networks, 0.0, []))) >= {"own", "unseen"}
    assert warm_model.cache_info().misses == 1
    model = warm_model(STUDY.canonical(), training_device())
    assert next(model.parameters()).device == training_device()
    assert warm_model.cache_info().misses == 1


@pytest.mark.slow
def test_the_loss_falls_and_everybody_is_scored(run: tuple[Path, dict[str, Any]]):
    folder, metrics = run
    arms = metrics["arms"]
    for arm in ("federated", "pooled"):
        first, last = arms[arm]["rounds"]
        assert last["loss"] < 0.9 * first["loss"]
        assert {"own", "own_site_mean", "unseen", "sites"} <= arms[arm].keys()
        assert set(arms[arm]["own"]) == {"map50", "map50_95", "recall_25"}
        assert arms[arm]["own"]["map50"]["n"] == 8 + 6
        assert arms[arm]["unseen"]["map50"]["n"] == 8
        assert arms[arm]["own"]["map50"]["from"] == "patients"
    assert arms["federated"]["rounds"][0]["patients"] == {"imaging": 30, "fusion": 30}
    assert arms["federated"]["rounds"][1]["received_model"] == {}  # 8 and 6 test patients are too few to tell of
    assert metrics["cohort"]["sites"]["A"] == {
        **{"patients": 24, "train": 16, "test": 8, "events": None, "classes": {}},
        "modalities": {"imaging": 24},
    }
    assert metrics["cohort"]["excluded"] == {"a hospital that marks no lesion": 12, "no picture was sent": 5}
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    page = (folder / "report.html").read_text()
    assert "was trained to find lesions in 2 rounds" in page
    assert "mAP@.5" in page
    assert not any(f"{site}00" in page for site in SITES)


@pytest.mark.slow
def test_own_patients_are_scored_with_own_statistics_and_the_saved_network_has_their_average(
    run: tuple[Path, dict[str, Any]], hospitals: list[Hospital]
):
    folder, metrics = run
    fold = make_picture_fold(hospitals, STUDY, 12)
    saved = load_file(folder / "model.safetensors")
    (own,) = (folder / "checkpoints").glob("*/sites")
    kept = {site: {**saved, **read_local(own / site, LAYERS, STUDY.training.rounds + 1)} for site in fold.training}
    names = [name for name in saved if name.endswith(STATISTICS)]
    weights = {site: fold.sites[site].patients for site in fold.training}
    assert weights == {"A": 16, "B": 14}
    for name in names:
        average = sum(weights[site] * kept[site][name].astype(np.float64) for site in kept) / sum(weights.values())
        assert saved[name] == pytest.approx(average, rel=1e-5, abs=1e-6)
        assert not np.array_equal(kept["A"][name], kept["B"][name])
    plain = [name for name in saved if not name.endswith((STATISTICS, "running_var"))]
    assert all(np.array_equal(kept["A"][name], saved[name]) for name in plain)
    with_own, with_average = (own_patients(fold, given) for given in (kept, dict.fromkeys(kept, saved)))
    scored = {name: value["value"] for name, value in metrics["arms"]["federated"]["own"].items()}
    assert {name: float(value[0]) for name, value in measure_detected(with_own).items()} == scored
    assert not np.array_equal(with_own.false, with_average.false)


@pytest.mark.slow
def test_a_site_file_can_name_the_trained_detector(run: tuple[Path, dict[str, Any]], hospitals: list[Hospital]):
    folder, _ = run
    card, weights = read_detector(folder / "detector")
    assert (card.architecture, card.image_size, card.classes) == ("yolov5n", 128, ("lesion",))
    assert (card.quality.images, card.quality.patients, card.quality.boxes) == (14 + 8, 14 + 8, 14 + 8)
    saved = load_file(folder / "model.safetensors")
    assert all(np.array_equal(weights[name.removeprefix("branches.imaging.")], value) for name, value in saved.items())
    words = set(re.findall(r"[a-z0-9]+", (folder / "detector/detector.toml").read_text().lower()))
    assert not words & {f"{site}{i:02d}".lower() for site, count in SITES.items() for i in range(count)}
    home = hospitals[0].folder
    text = (
        f'schema = 1\n[site]\nid = "A"\n[imaging]\ndetector = "{(folder / "detector").as_posix()}"\nconfidence = 1e-6\n'
    )
    (home / "cropping.toml").write_text(text)
    detector = open_detector(read_site(home / "cropping.toml"))
    assert detector is not None
    image = (read_imaging(home / "data") or [])[0]
    assert image.path is not None
    lesion = detector.find(np.asarray(Image.open(image.path)))
    assert lesion is not None
    assert lesion.box[0] < lesion.box[2]
