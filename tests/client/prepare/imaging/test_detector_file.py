from pathlib import Path

import pytest
import torch

from client.prepare.imaging.detector_file import (
    CARD,
    WEIGHTS,
    DetectorCard,
    Quality,
    configured_sha256,
    read_detector,
    write_detector,
)
from shared.digests import sha256_bytes, sha256_file
from shared.errors import SiteFileError

TENSORS = {"a": torch.arange(4.0), "b.num_batches_tracked": torch.tensor(3)}
CARD_OF_TWO = DetectorCard(
    architecture="yolov5n",
    image_size=64,
    classes=("lesion",),
    weights_sha256="",
    quality=Quality(map50=0.75, map50_95=0.5, recall_25=1.0, images=4, boxes=3, patients=4),
    training={"epochs": 2, "start": 'a "quoted" name'},
    software={"ultralytics": "8.4"},
)


@pytest.fixture
def folder(tmp_path) -> Path:
    write_detector(tmp_path / "state/detector", CARD_OF_TWO, TENSORS)
    return tmp_path / "state/detector"


def test_what_was_written_is_read(folder):
    card, weights = read_detector(folder)
    assert card == CARD_OF_TWO.model_copy(update={"weights_sha256": sha256_file(folder / WEIGHTS)})
    assert weights.keys() == TENSORS.keys()
    for name, value in weights.items():
        torch.testing.assert_close(value, TENSORS[name], rtol=0, atol=0)
    assert sorted(path.name for path in folder.iterdir()) == [CARD, WEIGHTS]


def test_weights_of_another_training_are_refused(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes() + b" ")
    with pytest.raises(SiteFileError, match="expected the weights that detector.toml describes, got another file; run"):
        read_detector(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(SiteFileError, match="got No such file or directory; run train-detector again"):
        read_detector(folder)


def test_a_damaged_file_is_refused(folder):
    text = (folder / CARD).read_text().replace(sha256_file(folder / WEIGHTS), sha256_bytes(b"{}"))
    (folder / CARD).write_text(text)
    (folder / WEIGHTS).write_bytes(b"{}")
    with pytest.raises(SiteFileError, match=r"got a damaged file \(.*\); run train-detector again"):
        read_detector(folder)


def test_a_card_of_another_kind_is_refused(folder):
    (folder / CARD).write_text((folder / CARD).read_text().replace("yolov5n", "../../etc"))
    with pytest.raises(SiteFileError, match="architecture: expected"):
        read_detector(folder)


def test_the_configured_detector_is_named_by_all_that_decides(make_site, folder):
    text = '[imaging]\ndetector = "state/detector"\n'
    assert configured_sha256(make_site({})) == ""
    first = configured_sha256(make_site({}, text))
    assert len(first) == 64
    assert configured_sha256(make_site({}, text + "confidence = 0.5\n")) != first
    write_detector(folder, CARD_OF_TWO, {**TENSORS, "a": torch.zeros(4)})
    assert configured_sha256(make_site({}, text)) != first


def test_a_pickle_is_only_taken_when_its_hash_is_written(make_site, tmp_path):
    (tmp_path / "yolo.pt").write_bytes(b"anything")
    digest = sha256_file(tmp_path / "yolo.pt")
    text = '[imaging]\ndetector = "yolo.pt"\ndetector_sha256 = "%s"\n'
    assert configured_sha256(make_site({}, text % digest))
    with pytest.raises(SiteFileError, match=f"since opening it runs code, got nothing; .* write {digest}"):
        configured_sha256(make_site({}, text % ""))
    with pytest.raises(SiteFileError, match=f"expected ffffffffffff..., got {digest[:12]}...; restore the detector"):
        configured_sha256(make_site({}, text % ("f" * 64)))


def test_a_missing_detector_is_refused(make_site):
    with pytest.raises(SiteFileError, match=r"expected a folder with detector\.toml or a \.pt file, got neither at"):
        configured_sha256(make_site({}, '[imaging]\ndetector = "gone"\n'))
