"""Mean precision from counts, beside an exact one computed another way."""

from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest

from shared.detection.contained import contained
from shared.errors import WorkFailed
from shared.metrics import Statistics, metric_names
from shared.metrics.detection import BINS, DETECTION, Detected, Found, measure_detected

SQUARE = [10.0, 10.0, 20.0, 20.0]
HALF = [10.0, 10.0, 20.0, 16.0]  # overlaps SQUARE by .6
AWAY = [40.0, 40.0, 50.0, 50.0]


def found(boxes: list[list[float]], confidence: list[float], drawn: list[list[float]], patient: int = 0) -> Found:
    return Found(patient, np.array(boxes).reshape(-1, 4), np.array(confidence), np.array(drawn).reshape(-1, 4))


def scores(*images: Found, patients: int = 1) -> dict[str, float]:
    measured = measure_detected(Detected.of(images, ["A"] * patients))
    return {name: float(value[0]) for name, value in measured.items()}


def random_images(seed: int, patients: int) -> list[Found]:
    """Boxes drawn, most of them found a little beside where they are, and some that are nowhere."""
    rng, images = np.random.default_rng(seed), []
    for patient in range(patients):
        corner = rng.uniform(0, 200, (2, 2))
        drawn = np.hstack([corner, corner + rng.uniform(20, 60, (2, 2))])
        near = np.repeat(drawn, 2, axis=0) + rng.normal(0, 4, (4, 4))
        wild = rng.uniform(0, 200, (5, 2))
        boxes = np.vstack([near, np.hstack([wild, wild + 30])])
        confidence = np.concatenate([rng.beta(4, 2, 4), rng.beta(1, 6, 5)])
        images.append(Found(patient, boxes, confidence, drawn))
    return images


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def exact(images: list[Found], least: float) -> float:
    """Average precision box by box: COCO's matching, the largest precision to the right, 101 recalls."""
    hits = []
    for image in images:
        free = list(range(len(image.drawn)))
        for i in np.argsort(-image.confidence):
            best = max(free, key=lambda j: overlap(image.boxes[i], image.drawn[j]), default=None)
            true = best is not None and overlap(image.boxes[i], image.drawn[best]) >= least
            free = [j for j in free if j != best or not true]
            hits.append((image.confidence[i], true))
    marks = np.array([true for _, true in sorted(hits, key=lambda hit: -hit[0])])
    recall = marks.cumsum() / sum(len(image.drawn) for image in images)
    precision = marks.cumsum() / np.arange(1, len(marks) + 1)
    return float(np.mean([max(precision[recall >= r], default=0.0) for r in np.linspace(0, 1, 101)]))


def test_a_box_in_its_place_is_a_whole_point():
    assert scores(found([SQUARE], [0.9], [SQUARE])) == pytest.approx({"map50": 1, "map50_95": 1, "recall_25": 1}, 0.006)


@pytest.mark.skipif(find_spec("ultralytics") is None, reason="extra imaging")
def test_a_faultless_detector_has_what_it_has_in_ultralytics():
    with contained():
        theirs, _, _ = import_module("ultralytics.utils.metrics").compute_ap([1.0], [1.0])
    assert scores(found([SQUARE], [0.9], [SQUARE]))["map50"] == pytest.approx(theirs, abs=1e-12)
    assert theirs == pytest.approx(0.995)


def test_a_box_that_overlaps_by_six_tenths_counts_at_three_overlaps_of_ten():
    measured = scores(found([HALF], [0.9], [SQUARE]))
    assert measured["map50"] == pytest.approx(1, abs=0.006)
    assert measured["map50_95"] == pytest.approx(0.3, abs=0.003)


def test_a_lesion_is_found_once():
    detected = Detected.of([found([SQUARE, HALF, AWAY], [0.4, 0.9, 0.5], [SQUARE])], ["A"])
    assert detected.true.sum(axis=2)[0].tolist() == [1] * 10  # HALF up to .6, then SQUARE in its stead
    assert detected.false.sum(axis=2)[0].tolist() == [2] * 10
    assert detected.boxes.tolist() == [1]


def test_the_surest_box_comes_first():
    detected = Detected.of([found([SQUARE, HALF], [0.4, 0.9], [SQUARE])], ["A"])
    (high,) = np.flatnonzero(detected.true[0, 0])
    assert high == int(BINS * np.sqrt(0.9))


def test_recall_counts_boxes_of_confidence_a_quarter_and_more():
    image = found([SQUARE, AWAY], [0.25, 0.2499], [SQUARE, AWAY])
    assert scores(image)["recall_25"] == 0.5


def test_pictures_without_a_lesion_lower_the_precision_and_nothing_else():
    empty = found([AWAY], [0.95], [], patient=1)
    both = scores(found([SQUARE], [0.9], [SQUARE]), empty, patients=2)
    assert both["map50"] == pytest.approx(0.5, abs=0.006)
    assert both["recall_25"] == 1


def test_nothing_found_is_zero_and_nothing_drawn_is_nothing():
    assert scores(found([], [], [SQUARE])) == {"map50": 0.0, "map50_95": 0.0, "recall_25": 0.0}
    assert np.isnan(list(scores(found([SQUARE], [0.9], [])).values())).all()


@pytest.mark.parametrize("seed", range(5))
def test_counts_agree_with_an_exact_computation(seed):
    images = random_images(seed, 40)
    measured = scores(*images, patients=40)
    assert measured["map50"] == pytest.approx(exact(images, 0.5), abs=0.01)
    every = np.mean([exact(images, least) for least in np.linspace(0.5, 0.95, 10)])
    assert measured["map50_95"] == pytest.approx(every, abs=0.01)
    assert 0.3 < measured["map50"] < 0.99  # or there would be nothing to agree on


def test_statistics_of_two_hospitals_are_those_of_all_patients():
    images = random_images(0, 20)
    detected = Detected.of(images, ["A"] * 12 + ["B"] * 8)
    parts = [Statistics.of(detected.take(detected.site == site)) for site in "AB"]
    travelled = [Statistics.from_record(part.to_record()) for part in parts]
    merged = Statistics.merge(*travelled)
    assert merged.kind == "detection"
    assert (merged.n, merged.events) == (20, None)
    assert merged.result() == {name: float(value[0]) for name, value in measure_detected(detected).items()}
    assert tuple(merged.result()) == DETECTION == metric_names("detection", 1)


def test_statistics_that_lack_a_bin_are_refused():
    record = Statistics.of(Detected.of(random_images(0, 2), ["A"] * 2)).to_record()
    record["true_found"] = record["true_found"][1:]
    with pytest.raises(WorkFailed, match="expected the entries"):
        Statistics.from_record(record)


def test_weights_count_patients_as_often_as_they_say():
    images = random_images(1, 6)
    detected = Detected.of(images, ["A"] * 6)
    weights = np.array([[1, 1, 1, 1, 1, 1], [2, 0, 1, 0, 0, 3]], dtype=np.float64)
    measured = measure_detected(detected, weights)
    drawn = measure_detected(detected.take(np.array([0, 0, 2, 5, 5, 5])))
    for name, value in measured.items():
        assert value[0] == measure_detected(detected)[name][0]
        assert value[1] == pytest.approx(drawn[name][0])
