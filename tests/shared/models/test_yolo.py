"""The network that reads pictures: what it weighs, what travels, and which studies it refuses."""

import pytest
import torch
from torch import nn

from shared.errors import StudyError
from shared.messages import branch_of
from shared.study import parse_study
from shared.weights import load_arrays, local_names, new_model, take_arrays, trainable, travelling
from tests.picture_files import detection_study

STUDY = detection_study()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"model": {"architecture": "abmil"}}, "expected architecture yolo for task.kind detection and for no other"),
        ({"task": {"kind": "survival"}}, "and for no other, got yolo for survival"),
        (
            {"modalities": {"imaging": {}, "clinical": {}}},
            r"expected modalities that yolo takes \(imaging\), got cl",
        ),
        ({"modalities": {"imaging": {"encoder": "resnet18"}}}, "modalities.imaging: expected max_images alone"),
        ({"modalities": {"imaging": {"crop": False}}}, "got an encoder or crop; remove them"),
        ({"federation": {"strategy": "fedprox"}}, "expected another one for detection, got fedprox"),
        ({"model": {"architecture": "yolo", "image_size": 100}}, "expected image_size to be a multiple of 32"),
        ({"model": {"architecture": "yolo", "network": "yolo26n"}}, "model: expected network to "),
    ],
)
def test_what_does_not_go_together_is_refused(change, fault):
    with pytest.raises(StudyError, match=fault):
        parse_study({**STUDY.content(), **change})


def test_a_detection_study_names_no_encoder():
    from shared.cohort.encoded import named_encoders

    assert named_encoders(STUDY) == {}
    assert STUDY.outputs == 1


@pytest.mark.slow
def test_weights_follow_from_the_digest_and_fixed_ones_stay_at_home():
    model = new_model(STUDY)
    again = new_model(STUDY)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert sum(p.numel() for p in trainable(model).values()) == 2_508_643
    assert {branch_of(name) for name in travelling(model)} == {"imaging"}
    running = {name.rsplit(".", 1)[-1] for name in local_names(model, "fedavg")}
    assert running == {"running_mean", "running_var"}
    layers = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(local_names(model, "fedavg")) == 2 * len(layers)
    state = model.network.state_dict()
    assert not any("num_batches_tracked" in name or "dfl" in name for name in travelling(model))
    assert state["model.24.dfl.conv.weight"].flatten().tolist() == list(range(16))  # still there, to decode boxes
    moved = {name: array + 1 for name, array in take_arrays(model).items()}
    load_arrays(again, moved)
    assert all((take_arrays(again)[name] == array).all() for name, array in moved.items())


@pytest.mark.slow
def test_boxes_come_surest_first_and_without_repetition():
    torch.manual_seed(0)
    model = new_model(STUDY)
    for head in model.network.model[-1].cv3:
        nn.init.normal_(head[-1].weight)  # or an untrained network is sure of nothing
    (boxes, confidence), _ = model.find(torch.rand(2, 3, 64, 64))
    assert len(boxes) == len(confidence) > 1
    assert (confidence.diff() <= 0).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert not model.training
