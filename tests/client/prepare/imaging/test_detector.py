"""Detectors that other people made: .pt files of ultralytics. Our own are tested with train-detector."""

from importlib import import_module

import numpy as np
import pytest
import torch

from client.prepare.imaging.detector import open_detector, read_weights
from client.prepare.imaging.detector_file import write_detector
from shared.digests import sha256_file
from shared.errors import BadInput, SiteFileError
from tests.client.prepare.imaging.test_detector_file import CARD_OF_TWO, TENSORS

PICTURE = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)


@pytest.fixture
def open_file(make_site, tmp_path):
    """Save something as a .pt file, and open it as the detector of a site."""

    def open_it(content: object, confidence: float = 0.001):
        torch.save(content, tmp_path / "yolo.pt")
        digest = sha256_file(tmp_path / "yolo.pt")
        rules = f'detector = "yolo.pt"\ndetector_sha256 = "{digest}"\nconfidence = {confidence}\n'
        return open_detector(make_site({}, f"[imaging]\n{rules}"))

    return open_it


def network(kind: str, description: str) -> torch.nn.Module:
    tasks = import_module("ultralytics.nn.tasks")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(tasks, kind)(description, nc=1, verbose=False)
    model.args = {"imgsz": 64}
    return model


def test_without_the_package_the_extra_is_named(make_site, tmp_path, monkeypatch):
    monkeypatch.setattr("shared.detection.contained.find_spec", lambda name: None)
    write_detector(tmp_path / "state/detector", CARD_OF_TWO, TENSORS)
    with pytest.raises(BadInput, match=r"expected the package ultralytics .*, got none; install mmfed\[imaging\]"):
        open_detector(make_site({}, '[imaging]\ndetector = "state/detector"\n'))


@pytest.mark.slow
def test_files_that_hold_no_detector_are_refused(open_file):
    with pytest.raises(SiteFileError, match=r"expected a detector saved by ultralytics, got another file \(.*\); give"):
        open_file({"weights": torch.zeros(3)})
    with pytest.raises(SiteFileError, match="expected a detector, got ClassificationModel; give one for task detect"):
        open_file({"model": network("ClassificationModel", "yolov8n-cls.yaml")})


@pytest.mark.slow
def test_a_file_of_ultralytics_finds_lesions_and_gives_weights(open_file, tmp_path):
    with pytest.raises(SiteFileError, match="expected a detector saved by ultralytics"):
        open_file({})  # ultralytics is imported by now, inside the site
    model = network("DetectionModel", "yolov5n.yaml")
    for head in model.model[-1].cv3:
        torch.nn.init.normal_(head[-1].weight)  # or an untrained network is sure of nothing
    detector = open_file({"model": model})
    lesion = detector.find(PICTURE)
    assert 0 <= lesion.box[0] < lesion.box[2] <= 96
    assert 0 <= lesion.box[1] < lesion.box[3] <= 64
    assert detector.find(PICTURE) == lesion
    assert open_file({"model": model}, confidence=min(lesion.confidence + 0.01, 0.999)).find(PICTURE) is None
    weights = read_weights(tmp_path / "yolo.pt", sha256_file(tmp_path / "yolo.pt"), tmp_path / "state")
    assert weights.keys() == model.state_dict().keys()
    with pytest.raises(SiteFileError, match="expected weights and their SHA-256, .* got none; give both"):
        read_weights(tmp_path / "yolo.pt", "", tmp_path / "state")
    with pytest.raises(SiteFileError, match=r"got one with SHA-256 .*\.\.\.; give both"):
        read_weights(tmp_path / "yolo.pt", "0" * 64, tmp_path / "state")


@pytest.mark.slow
def test_weights_of_another_architecture_are_refused(make_site, tmp_path):
    write_detector(tmp_path / "state/detector", CARD_OF_TWO, TENSORS)
    with pytest.raises(SiteFileError, match="expected weights of yolov5n, got those of another network; train it"):
        open_detector(make_site({}, '[imaging]\ndetector = "state/detector"\n'))
