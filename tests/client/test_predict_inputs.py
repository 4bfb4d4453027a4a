"""What a site has prepared against what a model takes: every refusal says expected, got and what to do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.predict import predict_patients
from client.predict_inputs import open_inputs
from shared.cohort.genes import groups_digest
from shared.errors import BadInput
from shared.run_folder import read_run
from shared.site import Site, read_site
from shared.study import Study, parse_study
from simulations.synthetic.aperio import write_aperio
from tests.federation import GROUPS, prepared_site, tiny_study, write_site
from tests.finished_runs import finished_run

STUDY = tiny_study()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return prepared_site(write_site(tmp_path_factory.mktemp("sites") / "A", (2, 2, 2)), STUDY)


def with_genes(groups: dict[str, list[str]], **further: Any) -> Study:
    content = {**STUDY.content()["modalities"], **further}
    expression = {**content["expression"], "groups": groups, "genes_sha256": groups_digest(groups)}
    return tiny_study(modalities={**content, "expression": expression})


def test_a_store_of_another_study_with_equal_settings_is_taken(site: Site, tmp_path: Path) -> None:
    other = tiny_study(training={"rounds": 9}, task={"column": "stage", "classes": ["I", "II"]})
    assert open_inputs(site, read_run(finished_run(tmp_path, other))).manifest.site == "A"


def test_another_gene_list_is_refused(site: Site, tmp_path: Path) -> None:
    run = read_run(finished_run(tmp_path, with_genes({**GROUPS, "more": ["MDM2"]})))
    with pytest.raises(
        BadInput,
        match=r"got no such feature store at site A; run `mmfed-client --site A prepare --study .*study.json`\n"
        r"  what is prepared differs: expected gene list [0-9a-f]{12} of 6 genes, got [0-9a-f]{12} of 5 genes",
    ):
        open_inputs(site, run)


def test_everything_that_the_nearest_store_lacks_is_named(site: Site, tmp_path: Path) -> None:
    run = read_run(
        finished_run(tmp_path, with_genes(GROUPS, blood={"analytes": ["718-7"]}, clinical={"columns": ["sex"]}))
    )
    with pytest.raises(BadInput) as caught:
        open_inputs(site, run)
    assert "differs: expected blood too, got a store without" in str(caught.value)
    assert "differs: expected other clinical columns, got 2 for 1" in str(caught.value)


def test_a_site_without_any_store_is_told_to_prepare(tmp_path: Path) -> None:
    bare = read_site(write_site(tmp_path / "B", (1, 1, 1)))
    with pytest.raises(BadInput, match="run `mmfed-client --site B prepare --study"):
        open_inputs(bare, read_run(finished_run(tmp_path / "run", STUDY)))


@pytest.fixture(scope="module")
def slide_site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, Study]:
    """A site of two patients and one slide, encoded by a network of random weights."""
    study = tiny_study(
        modalities={"slides": {"weights": "random", "tile": 64, "dim": 1280, "quality": False}, "clinical": {}},
        model={"architecture": "s1_crossattn", "dim": 8, "heads": 2},
    )
    folder = tmp_path_factory.mktemp("slides") / "A"
    file = write_site(folder, (1, 1, 0), expression=False, sections='[compute]\nengine = "torch"\n')
    (folder / "data" / "slides").mkdir()
    (folder / "data" / "slides.tsv").write_text("case_id\tslide_id\nPATIENT-A-000\tS\n")
    pixels = (np.array([200, 120, 180]) + np.random.default_rng(0).integers(-20, 20, (128, 128, 1))).astype(np.uint8)
    write_aperio(folder / "data" / "slides" / "S.svs", pixels, mpp=0.5, power=20, jpeg_quality=90)
    return prepared_site(file, study), study


def test_another_encoder_is_refused(slide_site: tuple[Site, Study], tmp_path: Path) -> None:
    site, study = slide_site
    run = read_run(finished_run(tmp_path, study, {"slides": "0" * 64}))
    with pytest.raises(
        BadInput,
        match="slides: expected features of the encoder with SHA-256 000000000000, as .*, got [0-9a-f]{12}; use",
    ):
        predict_patients(site, run)


def test_another_stain_and_another_tile_are_named(slide_site: tuple[Site, Study], tmp_path: Path) -> None:
    site, study = slide_site
    content = study.content()
    content["modalities"]["slides"] |= {"stain": "macenko", "tile": 96}
    with pytest.raises(BadInput) as caught:
        open_inputs(site, read_run(finished_run(tmp_path, parse_study(content))))
    assert "slides.stain: expected 'macenko', got 'none'" in str(caught.value)
    assert "slides.tile: expected 96, got 64" in str(caught.value)


def test_the_encoder_of_the_training_is_taken(slide_site: tuple[Site, Study], tmp_path: Path) -> None:
    site, study = slide_site
    (manifest,) = (site.state / "store").glob("*/manifest.json")
    sha = json.loads(manifest.read_text())["encoders"]["slides"]
    predicted = predict_patients(site, read_run(finished_run(tmp_path, study, {"slides": sha})))
    assert predicted.used == {"slides+clinical": 1, "clinical": 1}


def test_slides_are_taken_as_absent_where_no_training_site_had_them(
    slide_site: tuple[Site, Study], tmp_path: Path
) -> None:
    site, study = slide_site
    predicted = predict_patients(site, read_run(finished_run(tmp_path / "run", study)), tmp_path / "p.csv")
    assert (predicted.used, predicted.untrained) == ({"clinical": 2}, ("slides",))


def test_a_detector_is_refused(site: Site, tmp_path: Path) -> None:
    content = {"schema": 1, "name": "boxes", "task": {"kind": "detection"}, "modalities": {"imaging": {}}}
    study = parse_study({**content, "model": {"architecture": "yolo", "network": "yolov5n"}})
    with pytest.raises(BadInput, match="expected a model that scores patients, got a detector; it serves `prepare`"):
        predict_patients(site, read_run(finished_run(tmp_path, study)))
