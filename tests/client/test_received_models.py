"""A model that is offered is kept only whole, as large as agreed, and of the approved study."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from client.cli import app
from client.local_layers import LAYERS
from client.local_state import own_folder, read_local, read_round, write_local
from client.prepare.imaging.detector import open_detector
from client.received_models import list_models, receive_model
from shared.detection.detector_file import read_detector
from shared.errors import BadInput, Refused
from shared.run_folder import OWN_LAYERS, RunFolder, manifest_of, read_run
from shared.site import Site, read_site
from tests.federation import tiny_study
from tests.finished_runs import finished_run
from tests.picture_files import detection_study

STUDY = tiny_study()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in finished_run(tmp_path / "run", STUDY).iterdir()}


def test_an_offer_becomes_a_run_folder(site: Site, files: dict[str, bytes]) -> None:
    for _ in range(2):  # the second takes the place of the first
        folder = receive_model(site, STUDY, files)
        assert folder == site.state / "models" / f"tiny-{STUDY.digest[:8]}"
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert read_run(folder).study == STUDY


def test_the_sites_own_layers_are_kept_beside_the_model_and_outlive_the_next_run(
    site: Site, files: dict[str, bytes]
) -> None:
    own, last = own_folder(site, STUDY.digest), STUDY.training.rounds
    name, array = next(iter(read_run(receive_model(site, STUDY, files)).arrays.items()))
    for round_ in (last - 1, last):
        write_local(own, "layers", round_, {name: np.full_like(array, round_)})
        write_local(own, "control", round_, {name: array})
    folder = receive_model(site, STUDY, files)
    assert read_round(own, "control", last) is None
    write_local(own, "layers", 1, {name: np.zeros_like(array)})  # the study runs again
    assert set(read_local(own, "layers", last + 1)) == {name}
    run = read_run(folder)
    np.testing.assert_array_equal(run.own[name], np.full_like(array, last))
    np.testing.assert_array_equal(dict(run.model().named_parameters())[name].detach().numpy(), run.own[name])
    assert OWN_LAYERS not in files  # it never came from the coordinator


def test_layers_of_another_model_are_no_run(site: Site, files: dict[str, bytes]) -> None:
    write_local(own_folder(site, STUDY.digest), "layers", 1, {"norm.weight": np.ones(3, np.float32)})
    folder = receive_model(site, STUDY, files)
    with pytest.raises(BadInput, match="expected the weights of study tiny, got another model's"):
        read_run(folder).model()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda files: {**files, "model.safetensors": b"rot"}, "model.safetensors: expected SHA-256 "),
        (lambda files: {k: v for k, v in files.items() if k != "study.json"}, "study.json: expected the file that"),
        (lambda files: {**files, "../x": b""}, r"\.\./x: expected only files that manifest.json names"),
        (lambda files: {**files, "model.safetensors": bytes(21_000_000)}, "expected an offer of at most 20 MB, got 21"),
        (lambda files: {}, "expected manifest.json, got none"),
    ],
)
def test_a_wrong_offer_is_refused_and_nothing_is_written(
    site: Site, files: dict[str, bytes], change: Callable[[dict[str, bytes]], dict[str, bytes]], reason: str
) -> None:
    with pytest.raises(Refused, match=reason) as caught:
        receive_model(site, STUDY, change(files))
    assert caught.value.code == "MODEL_INVALID"
    assert not (site.state / "models").exists()


def test_a_model_of_another_study_or_with_a_program_in_it_is_refused(site: Site, files: dict[str, bytes]) -> None:
    with pytest.raises(Refused, match="expected the model of the approved study, got another's"):
        receive_model(site, tiny_study(training={"rounds": 9}), files)
    del files["manifest.json"]
    files["start.sh"] = b"#!/bin/sh"
    with pytest.raises(Refused, match="expected the model of the approved study, got another's"):
        receive_model(site, STUDY, {**files, "manifest.json": manifest_of(files)})


def test_received_models_are_listed_with_what_is_wrong(site: Site, files: dict[str, bytes]) -> None:
    config = ["--site", "A", "--config", str(site.data.parent / "site.toml")]
    assert "site A has received no model yet" in CliRunner().invoke(app, [*config, "predict", "--list"]).output
    folder = receive_model(site, STUDY, files)
    ((path, run),) = list_models(site)
    assert path == folder
    assert isinstance(run, RunFolder)
    assert f"linear, digest {STUDY.digest}" in CliRunner().invoke(app, [*config, "predict", "--list"]).output
    (folder / "metrics.json").write_text("{}")
    ((_, run),) = list_models(site)
    assert isinstance(run, BadInput)
    assert "it is damaged" in CliRunner().invoke(app, [*config, "predict", "--list"]).output


def test_a_model_that_was_moved_aside_when_the_process_stopped_is_there_again(
    site: Site, files: dict[str, bytes]
) -> None:
    folder = receive_model(site, STUDY, files)
    for again in (lambda: list_models(site)[0][0], lambda: receive_model(site, STUDY, files)):
        folder.rename(folder.with_name(f".{folder.name}.old"))
        assert again() == folder
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]
        assert read_run(folder).study == STUDY
    folder.rename(folder.with_name(f".{folder.name}.old"))
    with pytest.raises(Refused):
        receive_model(site, STUDY, {})
    assert [path for path, _ in list_models(site)] == [folder]


@pytest.mark.slow
def test_with_the_model_of_a_detection_study_comes_a_detector_that_the_site_file_can_name(
    site: Site, tmp_path: Path
) -> None:
    study = detection_study()
    run = finished_run(tmp_path / "run", study)
    weights = read_run(run).arrays
    name = next(n for n in weights if n.endswith("running_mean"))
    write_local(own_folder(site, study.digest), LAYERS, study.training.rounds, {name: np.full_like(weights[name], 7)})
    folder = receive_model(site, study, {path.name: path.read_bytes() for path in run.iterdir()})
    card, kept = read_detector(folder / "detector")
    assert (card.architecture, card.image_size, card.quality) == ("yolov5n", 64, None)
    for key, array in weights.items():
        assert np.array_equal(
            kept[key.removeprefix("branches.imaging.")], np.full_like(array, 7) if key == name else array
        )
    file = site.data.parent / "site.toml"
    file.write_text(f'{file.read_text()}[imaging]\ndetector = "{(folder / "detector").as_posix()}"\n')
    detector = open_detector(read_site(file))
    assert detector is not None
    detector.find(np.zeros((64, 64, 3), dtype=np.uint8))
