"""A deployed detection study leaves a detector at the coordinator and at every hospital, ready to be named."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from client.prepare.imaging.detector import open_detector
from shared.detection.detector_file import DetectorCard, read_detector
from shared.run_folder import OWN_LAYERS
from shared.site import read_site
from tests.federation import Run, run
from tests.picture_files import detection_study, write_pictures

pytestmark = pytest.mark.slow
STUDY = detection_study(rounds=1)
FEW = "[disclosure]\nmin_patients = 2\n"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], Run]:
    folder = tmp_path_factory.mktemp("deployed")
    files = {}
    for name in "AB":
        write_pictures(folder / name / "data", {f"PATIENT-{name}-{i}": 1 for i in range(12)})
        files[name] = folder / name / "site.toml"
        files[name].write_text(f'schema = 1\n[site]\nid = "{name}"\n{FEW}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMFED_RUNS", str(folder / "runs"))
        return files, run(STUDY, files, folder / "runs", named=False)


def judged(card: DetectorCard) -> tuple[float, int]:
    assert card.quality is not None
    assert card.quality.images is None  # hospitals do not tell
    return card.quality.map50, card.quality.patients


def test_the_run_folder_holds_a_detector(deployed: tuple[dict[str, Path], Run]) -> None:
    _, done = deployed
    card, weights = read_detector(done.folder / "detector")
    own = done.metrics["arms"]["federated"]["own"]["map50"]
    assert judged(card) == (own["value"], own["n"])
    assert (card.architecture, card.image_size, card.training["rounds"]) == ("yolov5n", 64, 1)
    saved = load_file(done.folder / "model.safetensors")
    assert all(np.array_equal(weights[name.removeprefix("branches.imaging.")], value) for name, value in saved.items())


@pytest.mark.parametrize("name", ["A", "B"])
def test_a_hospital_receives_it_with_its_own_statistics_and_can_name_it(
    deployed: tuple[dict[str, Path], Run], name: str
) -> None:
    files, done = deployed
    folder = read_site(files[name]).state / "models" / f"lesions-{STUDY.digest[:8]}"
    card, weights = read_detector(folder / "detector")
    assert judged(card) == judged(read_detector(done.folder / "detector")[0])
    own = load_file(folder / OWN_LAYERS)
    assert own
    for key, value in {**load_file(folder / "model.safetensors"), **own}.items():
        assert np.array_equal(weights[key.removeprefix("branches.imaging.")], value)
    text = files[name].read_text()
    cropping = files[name].with_name("cropping.toml")
    cropping.write_text(f'{text}[imaging]\ndetector = "{(folder / "detector").as_posix()}"\nconfidence = 1e-6\n')
    detector = open_detector(read_site(cropping))
    assert detector is not None
    assert detector.find(np.full((64, 64, 3), 60, dtype=np.uint8)) is not None
    assert "PATIENT-" not in (folder / "detector/detector.toml").read_text()
