import errno
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock, Timeout
from PIL import Image

from client.prepare.encoders import Encoder
from client.prepare.encoders.plan import Plan
from client.prepare.imaging.detector import Detector, open_detector
from client.prepare.imaging.detector_file import CARD, DetectorCard, configured_sha256
from client.prepare.imaging.folder import prepare_images
from client.prepare.imaging.pictures import read_picture
from client.prepare.patients import read_roster
from client.prepare.report import PrepareReport
from client.train_detector import train_detector
from shared.documents import read_toml
from shared.errors import BadInput, CohortError, SiteFileError, WorkFailed
from shared.site import Site, read_site
from shared.study import Imaging

HEADER = "case_id,image_id,modality,x0,y0,x1,y1\n"
pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]


def draw(folder: Path, patients: int) -> str:
    """Write radiographs of 64 px with a bright round lesion each, but for every sixth; returns imaging.csv."""
    rng = np.random.default_rng(0)
    rows = []
    folder.mkdir(parents=True)
    y, x = np.mgrid[:64, :64]
    for number in range(patients):
        pixels = rng.normal(80, 10, (64, 64))
        box = ",,,"
        if number % 6 != 5:
            cx, cy = rng.uniform(16, 48, 2)
            pixels[(x - cx) ** 2 + (y - cy) ** 2 < 100] += 120
            box = ",".join(f"{edge:.1f}" for edge in (cx - 10, cy - 10, cx + 10, cy + 10))
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"image-{number:02d}.png")
        rows.append(f"Jane-{number:02d},image-{number:02d},XR,{box}\n")
    return HEADER + "".join(rows)


@dataclass(frozen=True)
class Trained:
    """A site after `train-detector`, and what its process did."""

    site: Site
    root: Path
    outcome: dict[str, Any]
    output: str


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Two epochs on fourteen pictures, two of them of an excluded patient and without a file."""
    root = tmp_path_factory.mktemp("hospital")
    sheet = draw(root / "A/data/imaging", 14) + "Joe,gone,XR,,,,\nAnn,secret,XR,1,2,3,4\n"
    (root / "A/data/imaging.csv").write_text(sheet)
    (root / "A/data/exclude.csv").write_text("case_id\nAnn\n")
    text = 'schema = 1\n[site]\nid = "A"\n[imaging]\ndetector = "state/detector"\nconfidence = 0.0005\n'
    (root / "A/site.toml").write_text(text + '[compute]\ndevice = "cpu"\n')
    for name in ("home", "here", "temporary"):
        (root / name).mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("YOLO", "XDG", "MPL"))}
    environment |= {
        "HOME": str(root / "home"),
        "TMPDIR": str(root / "temporary"),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ULTRALYTICS_API_KEY": "ul_" + "0" * 40,  # with which ultralytics would report a training
    }
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", REPOSITORY / "tests/client/training_run.py", root / "A/site.toml"],
        env=environment,
        cwd=root / "here",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *output, last = done.stdout.splitlines()
    return Trained(read_site(root / "A/site.toml"), root, json.loads(last), "\n".join(output) + done.stderr)


@pytest.fixture(scope="module")
def detector(trained: Trained) -> Detector:
    """The same detector in this process."""
    opened = open_detector(trained.site)
    assert opened is not None
    return opened


def test_ultralytics_calls_nobody(trained):
    assert trained.outcome["ultralytics"]
    assert trained.outcome["calls"] == []


def test_ultralytics_writes_inside_the_state_folder_alone(trained):
    allowed = (str(trained.site.state), str(trained.root / "temporary"), "/dev/null")
    assert len(trained.outcome["written"]) > 20
    assert [path for path in trained.outcome["written"] if not path.startswith(allowed)] == []
    for name in ("home", "here", "temporary"):
        assert list((trained.root / name).iterdir()) == []
    made = {path.name for path in trained.site.state.iterdir()}
    assert made == {"detector", "detector-report.csv", "detector.lock", "ultralytics"}


def test_copies_of_the_pictures_are_gone(trained):
    assert {path.name for path in (trained.site.state / "detector").iterdir()} == {CARD, "model.safetensors"}
    assert not list(trained.site.state.rglob("*.png"))


def test_nothing_is_printed_and_the_process_is_as_it_was(trained):
    assert trained.output.strip() == ""
    assert trained.outcome["threads"] == 1
    assert trained.outcome["seed kept"]
    assert trained.outcome["untouched"]
    assert trained.outcome["environment"]
    assert not trained.outcome["deterministic"]


def test_progress_and_report(trained):
    steps = trained.outcome["steps"]
    assert steps[:2] == [["pictures", 1, 14], ["pictures", 2, 14]]
    assert steps[14:] == [["training", 1, 2], ["training", 2, 2]]
    text = (trained.site.state / "detector-report.csv").read_text()
    assert text.count(",used,learning: 1 lesion,") + text.count(",used,judging: 1 lesion,") == 12
    assert text.count(",used,judging: ") == 4  # 3 of 12 with a box, 1 of 2 without
    assert ',Joe,imaging/gone,left out,"listed in imaging.csv, but no such file"' in text
    assert "Ann" not in text
    lines = "\n".join(trained.outcome["lines"])
    assert "images: 14 used, 1 left out" in lines
    assert "judged on 3 lesions in 4 images of 4 patients" in lines
    assert "Jane" not in lines


def test_the_card_says_what_was_done(trained):
    text = (trained.site.state / "detector" / CARD).read_text()
    card = read_toml(trained.site.state / "detector" / CARD, DetectorCard, SiteFileError)
    assert (card.architecture, card.image_size, card.classes) == ("yolov5n", 64, ("lesion",))
    assert card.training == {"epochs": 2, "batch": 4, "seed": 0, "images": 10, "start": ""}
    assert (card.quality.images, card.quality.boxes, card.quality.patients) == (4, 3, 4)
    assert 0 <= card.quality.map50_95 <= card.quality.map50 <= 1
    assert 0 <= card.quality.recall_25 <= 1
    assert "Jane" not in text


def test_the_saved_detector_finds_the_same_boxes_in_another_process(trained, detector):
    pictures = sorted((trained.site.data / "imaging").glob("*.png"))
    lesions = [detector.find(read_picture(path).pixels) for path in pictures]
    assert [lesion and [*lesion.box, lesion.confidence] for lesion in lesions] == trained.outcome["lesions"]
    assert any(lesions)
    for lesion in filter(None, lesions):
        x0, y0, x1, y1 = lesion.box
        assert 0 <= x0 < x1 <= 64
        assert 0 <= y0 < y1 <= 64
        assert 0.0005 <= lesion.confidence <= 1


def test_boxes_are_those_of_the_original_size(trained, detector):
    picture = read_picture(trained.site.data / "imaging/image-00.png").pixels
    small, large = detector.find(picture), detector.find(np.repeat(np.repeat(picture, 3, axis=0), 3, axis=1))
    np.testing.assert_allclose(np.array(large.box) / 3, small.box, atol=0.5)


@pytest.mark.parametrize("shape", [(1, 2000, 3), (2000, 1, 3), (2, 2, 3)])
def test_odd_shapes_are_looked_at(detector, shape):
    lesion = detector.find(np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8))
    assert lesion is None or lesion.box[2] <= shape[1]


def test_prepare_cuts_what_it_finds(trained):
    site = trained.site
    names = [f"Jane-{number:02d}" for number in range(4)]
    (site.data / "clinical.tsv").write_text("\n".join(["case_id", *names, ""]))
    encoder = Encoder("mean", 3, "e" * 64, "f" * 64, Plan(), lambda tiles: tiles.mean(axis=(1, 2)).astype(np.float32))
    report = PrepareReport(site.state)
    read = prepare_images(site, Imaging(), encoder, read_roster(site), report, lambda what, done, total: None)
    assert read.image_id == tuple(f"image-{number:02d}" for number in range(4))
    assert read.attributes["detector_sha256"] == configured_sha256(site)
    for box, found, lesion in zip(read.boxes, read.box_found, trained.outcome["lesions"], strict=False):
        assert found == (lesion is not None)
        np.testing.assert_array_equal(box, np.float32(lesion[:4] if lesion else [0, 0, 64, 64]))
    assert sum(row.reason == "not in clinical.tsv" for row in report.rows) == 10 + 2  # Joe and Ann too


def test_another_training_may_begin_with_it(trained, tmp_path):
    site = trained.site.model_copy(update={"site": trained.site.site.model_copy(update={"state": str(tmp_path)})})
    object.__setattr__(site, "_folder", trained.root / "A")
    done = train_detector(
        site, architecture="yolov5n", image_size=64, epochs=1, batch=4, weights=trained.site.state / "detector"
    )
    assert done.folder == tmp_path / "detector"
    assert read_toml(done.folder / CARD, DetectorCard, SiteFileError).training["start"] == "detector"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "resnet18"}, "expected an architecture such as yolov5n, .*, got 'resnet18'; choose one"),
        ({"image_size": 100}, "expected an image size from 64 to 1280 that 32 divides, got 100; choose"),
        ({"image_size": 32}, "expected an image size from 64 to 1280"),
        ({"epochs": 0}, "expected at least one epoch and one image a batch, got 0 and 16"),
        ({"weights": Path("gone.pt")}, "expected weights and their SHA-256, .*, got no such file"),
    ],
)
def test_impossible_options_are_refused(make_site, options, message):
    with pytest.raises(BadInput, match=message):
        train_detector(make_site(), **options)


def test_too_few_lesions_are_refused(make_site):
    site = make_site()
    with pytest.raises(CohortError, match=r"expected imaging\.csv with columns case_id, .*, got no such file; write"):
        train_detector(site)
    (site.data / "imaging.csv").write_text(draw(site.data / "imaging", 11))
    (site.data / "exclude.csv").write_text("case_id\nJane-00\n")  # 10 of 11 have a box; 9 remain
    with pytest.raises(BadInput, match="expected boxes of at least 10 patients, got 9; mark more lesions"):
        train_detector(site)


def test_unreadable_pictures_are_rows_until_too_few_are_left(make_site):
    site = make_site()
    (site.data / "imaging.csv").write_text(draw(site.data / "imaging", 12))  # 10 with a box
    (site.data / "imaging/image-00.png").write_bytes(b"")
    with pytest.raises(BadInput, match="expected boxes of at least 10 patients, got 9; mark more lesions"):
        train_detector(site)
    text = (site.state / "detector-report.csv").read_text()
    assert 'Jane-00,imaging/image-00,left out,"expected an image, got an empty file; copy it again"' in text
    assert not list((site.state / "detector").iterdir())


def test_a_full_disk_ends_with_a_sentence_and_without_copies(make_site, monkeypatch):
    site = make_site()
    (site.data / "imaging.csv").write_text(draw(site.data / "imaging", 14))

    def full(image, path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(WorkFailed, match="expected room for copies of the pictures in .*, got a full disk; free some"):
        train_detector(site)
    assert not list((site.state / "detector").iterdir())


def test_a_training_has_its_work_folder_for_itself(make_site, monkeypatch):
    site = make_site()
    (site.data / "imaging.csv").write_text(draw(site.data / "imaging", 14))
    held = []

    def look(*_, **__):
        lock = FileLock(site.state / "detector.lock")
        with pytest.raises(Timeout):
            lock.acquire(timeout=0)
        held.append(True)
        raise BadInput("enough seen")

    monkeypatch.setattr("client.train_detector.fit_detector", look)
    with pytest.raises(BadInput, match="enough seen"):
        train_detector(site)
    assert held == [True]
