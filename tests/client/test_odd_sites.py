"""Hospitals at the edge of what a study can use: handled, counted, reported, through the real files and functions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from client.prepare.preparation import prepare
from client.prepare.settings import PrepareSettings
from client.session import Session
from client.work import evaluate_model, train_model
from shared.errors import Refused
from shared.messages import Order
from shared.metrics import Statistics
from shared.site import read_site
from shared.study import Study, parse_study
from shared.weights import new_model, take_arrays
from tests.federation import CONTENT, prepared_site, tiny_study, write_site

FEW = "[disclosure]\nmin_patients = 2\n"
SHA = "a" * 64
FEATURES = f'[features]\nencoder = "tiny"\nencoder_sha256 = "{SHA}"\n'


def order(study: Study) -> Order:
    arrays = {name: array.copy() for name, array in take_arrays(new_model(study)).items()}
    return Order(digest=study.digest, arrays=arrays, round=1, learning_rate=0.05)


def work(file: Path, study: Study) -> tuple[float, dict[str, float | None], dict[str, np.ndarray]]:
    """The mean loss of a round at a site, the metrics of its test patients, and what it sends."""
    session = Session(prepared_site(file, study), study)
    reply = train_model(session, order(study))
    arrays = {name: np.array(array) for name, array in reply.arrays.items()}  # the next message overwrites them
    scored = Statistics.from_record(evaluate_model(session, order(study)).evaluation)
    return reply.loss_sum / reply.patients["fusion"], scored.result(), arrays


def add_column(file: Path, name: str, values: Sequence[object]) -> None:
    table = file.parent / "data" / "clinical.tsv"
    head, *rows = table.read_text().splitlines()
    cells = [f"{row}\t{value}" for row, value in zip(rows, values, strict=True)]
    table.write_text("\n".join([f"{head}\t{name}", *cells]) + "\n")


def with_slides(file: Path, patches: Sequence[int]) -> None:
    """One slide a patient with so many patches, as features made elsewhere."""
    data = file.parent / "data"
    (data / "features" / "slides").mkdir(parents=True)
    rows = ["case_id\tslide_id"]
    for place, count in enumerate(patches):
        name = f"S{place}"
        rows.append(f"PATIENT-{file.parent.name}-{place:03d}\t{name}")
        rng = np.random.default_rng(place)
        with h5py.File(data / "features" / "slides" / f"{name}.h5", "w") as target:
            target.create_dataset("features", data=rng.normal(size=(count, 8)).astype(np.float32))
            target.create_dataset("coords", data=np.stack([256 * np.arange(count), np.zeros(count, int)], axis=1))
    (data / "slides.tsv").write_text("\n".join(rows) + "\n")


SLIDES = {"encoder": "tiny", "encoder_sha256": SHA, "dim": 8, "mpp": 0.5, "tile": 256, "max_patches": 3}


def slide_study(**modalities: Any) -> Study:
    model = {"architecture": "s1_crossattn", "dim": 8, "heads": 2}
    return parse_study({**CONTENT, "model": model, "modalities": {"slides": SLIDES, **modalities}})


def test_a_patient_whose_bag_is_empty_is_kept_if_anything_else_is_known(tmp_path: Path) -> None:
    file = write_site(tmp_path / "A", (8, 8, 8), sections=FEW + FEATURES)
    with_slides(file, [0, *([5] * 23)])
    study = slide_study(clinical={})
    site, settings = read_site(file), PrepareSettings.of(study)
    report = prepare(site, settings)
    (empty,) = [row for row in report.rows if row.case_id == "PATIENT-A-000"]
    assert (empty.file, empty.state) == ("features/slides/S0.h5", "left out")
    session = Session(prepared_site(file, study), study)
    patients = session.data.patients
    assert (len(patients), patients.count("slides"), patients.count("clinical")) == (24, 23, 24)
    place = patients.case_id.tolist().index("PATIENT-A-000")
    batch = patients.batch([place])
    assert (batch.present.tolist(), batch.slides_mask.any().item()) == ([[0.0, 1.0]], False)
    loss, metrics, arrays = work(file, study)
    assert np.isfinite(loss)
    assert metrics["accuracy"] is not None
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_a_patient_with_nothing_but_an_empty_bag_is_left_out_and_counted(tmp_path: Path) -> None:
    file = write_site(tmp_path / "A", (8, 8, 8), sections=FEW + FEATURES)
    with_slides(file, [0, *([5] * 23)])
    study = slide_study()
    report = prepare(read_site(file), PrepareSettings.of(study))
    reasons = [row.reason for row in report.rows if row.case_id == "PATIENT-A-000" and row.file == "clinical.tsv"]
    assert reasons == ["no modality of the study"]
    assert len(Session(prepared_site(file, study), study).data.patients) == 23
    assert np.isfinite(work(file, study)[0])


@pytest.mark.parametrize("batch_size", [1, 4, 0])
def test_a_site_and_batches_of_one_class_train_and_have_no_auc(tmp_path: Path, batch_size: int) -> None:
    study = tiny_study(training={"batch_size": batch_size})
    loss, metrics, arrays = work(write_site(tmp_path / "A", (0, 12, 0), sections=FEW), study)
    assert np.isfinite(loss)
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert metrics["auc"] is None
    assert metrics["accuracy"] is not None


def test_a_weighted_and_adjusted_loss_survives_a_site_of_the_rare_class(tmp_path: Path) -> None:
    task = {"priors": [0.9, 0.09, 0.01], "logit_adjustment": 1.0, "class_weights": [0.1, 1.0, 10.0]}
    loss, _, arrays = work(write_site(tmp_path / "A", (0, 0, 12), sections=FEW), tiny_study(task=task))
    assert np.isfinite(loss)
    assert all(np.isfinite(array).all() for array in arrays.values())


@pytest.mark.parametrize("classes", [(1, 0, 0), (0, 0, 2)])
def test_a_site_of_one_training_patient_takes_no_part(tmp_path: Path, classes: tuple[int, int, int]) -> None:
    with pytest.raises(Refused, match="expected at least 2 training patients, got [01]; this site") as caught:
        work(write_site(tmp_path / "A", classes, sections=FEW), tiny_study())
    assert caught.value.code == "TOO_FEW_PATIENTS"


def test_a_willing_site_of_two_patients_trains_on_one(tmp_path: Path) -> None:
    file = write_site(tmp_path / "A", (0, 0, 2), sections="[disclosure]\nmin_patients = 1\n")
    loss, metrics, _ = work(file, tiny_study())
    assert loss == pytest.approx(np.log(3))  # the model starts at zero
    assert (metrics["auc"], metrics["mcc"]) == (None, None)


@pytest.mark.parametrize(("event", "reason"), [(0, "without an event"), (1, "with events only")])
def test_a_survival_site_trains_whatever_its_events(tmp_path: Path, event: int, reason: str) -> None:
    file = write_site(tmp_path / "A", (4, 4, 4), sections=FEW)
    add_column(file, "os_months", [5 + 7 * i for i in range(12)])
    add_column(file, "os_event", [event] * 12)
    study = parse_study({**CONTENT, "task": {"kind": "survival"}})
    loss, metrics, arrays = work(file, study)
    assert np.isfinite(loss), reason
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert (metrics["c_index"] is None) == (event == 0)


HEADS = [
    {"name": "death", "task": {"kind": "survival"}},
    {"name": "sex", "weight": 0.5, "task": {"kind": "classification", "column": "sex", "classes": ["female", "male"]}},
]


def test_a_site_trains_the_heads_whose_labels_it_has(tmp_path: Path) -> None:
    """Fewer than `min_patients` labels are treated as none."""
    file = write_site(tmp_path / "A", (4, 4, 4), sections=FEW)
    add_column(file, "os_months", [9] + [""] * 11)
    add_column(file, "os_event", [1] + [""] * 11)
    study = parse_study({**CONTENT, "heads": HEADS})
    start = order(study).arrays["intercept.weight"].ravel()
    moved = work(file, study)[2]["intercept.weight"].ravel() != start
    assert moved.tolist() == [True] * 3 + [False] * 4 + [True]  # grade, death, sex
    add_column(file, "months", range(1, 13))
    add_column(file, "died", [1, 0] * 6)
    file.write_text(file.read_text() + '[columns]\nos_months = "months"\nos_event = "died"\n')
    assert (work(file, study)[2]["intercept.weight"].ravel() != start).sum() > 4
