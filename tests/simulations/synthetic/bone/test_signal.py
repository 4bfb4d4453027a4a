"""What can be learnt from the bone cohort: any two modalities beat any one; the look is in the pixels."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from client.prepare.encoders import build_encoder
from shared.cohort.blood import blood_panel
from simulations.synthetic.blood import draw_blood, draw_laboratory
from simulations.synthetic.bone.exposure import develop, draw_exposure
from simulations.synthetic.bone.hospitals import BONE_HOSPITALS, TUMOURS
from simulations.synthetic.bone.patients import BonePatient, draw_bone_patients
from simulations.synthetic.bone.radiograph import render_radiograph
from simulations.synthetic.bone.scene import SHAPE, draw_scene
from simulations.synthetic.bone.tables import BONE_SHIFTS

Array = NDArray[np.float64]


def macro_auc(x: Array, y: NDArray[np.int64]) -> float:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_predict(model, x, y, cv=folds, method="predict_proba")
    return float(roc_auc_score(y, scores, multi_class="ovr", average="macro"))


def distances(patient: BonePatient) -> list[float]:
    """Signed distance to the interval, in interval widths, of every analyte of the panel; 0 where not ordered."""
    rows = {row.analyte: row for row in draw_blood(patient, draw_laboratory(patient.hospital, 0), 0, BONE_SHIFTS)}
    found = []
    for analyte in blood_panel():
        row = rows.get(analyte.loinc)
        outside = 0.0 if row is None else max(row.value - row.ref_high, 0) + min(row.value - row.ref_low, 0)
        found.append(outside / (row.ref_high - row.ref_low) if row else 0.0)
    return found


def test_any_two_modalities_beat_any_one() -> None:
    patients = [patient for hospital in BONE_HOSPITALS for patient in draw_bone_patients(hospital, 0)]
    y = np.array([TUMOURS.index(patient.tumour) for patient in patients])
    rng = np.random.default_rng(0)
    # what a frozen encoder sees of a look or a morphology, it sees through noise
    blocks = {
        "imaging": np.array([[p.aggression, p.aggression**2] for p in patients]) + rng.normal(0, 0.12, (len(y), 2)),
        "slides": np.array([[p.morphology.level] for p in patients]) + rng.normal(0, 0.12, (len(y), 1)),
        "blood": np.array([distances(p) for p in patients]),
    }
    alone = {name: macro_auc(block, y) for name, block in blocks.items()}
    pairs = {names: macro_auc(np.hstack([blocks[n] for n in names]), y) for names in combinations(blocks, 2)}
    assert all(0.70 < value < 0.88 for value in alone.values()), alone
    assert min(pairs.values()) > max(alone.values()) + 0.02, (alone, pairs)
    assert macro_auc(np.hstack(list(blocks.values())), y) > max(pairs.values())


@pytest.mark.slow
def test_a_frozen_encoder_sees_how_aggressive_a_lesion_looks() -> None:
    encoder = build_encoder("mobilenet_v2")
    looks = np.tile([0.1, 0.5, 0.9], 24)
    tiles, brightness = [], []
    for number, look in enumerate(looks):
        scene = draw_scene(np.random.default_rng([1, number]))
        rng = np.random.default_rng([2, number])
        exposure = draw_exposure(np.random.SeedSequence([3, number // 3 % 4]))
        pixels = develop(render_radiograph(scene, float(look), rng), exposure, rng)
        x0, y0, x1, y1 = scene.box
        top, left = (
            int(np.clip((a + b) / 2 - 112, 0, side - 224)) for a, b, side in ((y0, y1, SHAPE[0]), (x0, x1, SHAPE[1]))
        )
        crop = pixels[top : top + 224, left : left + 224]
        tiles.append(np.rint(255 * np.repeat(crop[:, :, None], 3, axis=2)).astype(np.uint8))
        brightness.append([crop.mean(), crop.std()])
    y, size = np.arange(len(looks)) % 3, encoder.batch
    features = [encoder.encode(np.stack(tiles[i : i + size])) for i in range(0, len(tiles), size)]
    seen, silent = macro_auc(np.concatenate(features).astype(np.float64), y), macro_auc(np.array(brightness), y)
    assert seen > 0.9, f"features {seen:.3f}"
    assert seen > silent + 0.15, f"features {seen:.3f}, brightness {silent:.3f}"
