import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from client.heatmap import draw_heatmap
from client.heatmap.attention import attend
from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.load import load_patients
from shared.cohort.normalise import GeneStatistics
from shared.cohort.store import FeatureStore
from shared.errors import BadInput
from shared.weights import load_arrays, new_model

from .conftest import Hospital, slide_study

pytestmark = pytest.mark.slow  # together they take seconds


def bag_attention(hospital: Hospital, study, case_id: str) -> np.ndarray:
    """The model's weights on a patient's whole bag, worked out from the store."""
    store = FeatureStore.open(store_folder(hospital.site, PrepareSettings.of(study)))
    data = load_patients(store, study, "log2")
    statistics = GeneStatistics(np.stack([np.full(5, 6.0), np.ones(5)]))
    patient = data.normalised(study, statistics).take(data.patients.case_id == case_id)
    model = new_model(study).eval()
    load_arrays(model, load_file(hospital.model(study)))
    with torch.no_grad():
        return model(patient.batch([0]))["attention"]["slides"][0].double().numpy()


@pytest.mark.parametrize("architecture", ["dp_small", "s1_crossattn", "umeml"])
def test_attention_is_that_of_an_evaluation_over_all_slides_of_the_patient(hospital, architecture):
    study = slide_study(architecture)
    whole = bag_attention(hospital, study, "PATIENT-A-001")
    second, third = (attend(hospital.site, study, hospital.model(study), name) for name in ("second", "third"))
    assert len(whole) == 12  # max_patches; the two slides have 14 together
    assert np.ptp(whole) > 0.01
    np.testing.assert_array_equal(np.concatenate([second.weights, third.weights]), whole)
    assert whole.sum() == pytest.approx(1)
    assert second.shares.max() == third.shares.max() == 1
    assert len(second.corners) == len(second.weights)


def test_a_picture_and_tiles_are_written(hospital, tmp_path):
    study = slide_study()
    done = draw_heatmap(hospital.site, study, hospital.model(study), "first", tmp_path / "out")
    assert (done.picture, done.tiles) == (tmp_path / "out/first.png", tmp_path / "out/first.geojson")
    with Image.open(done.picture) as picture:
        assert min(picture.size) > 600
        assert picture.info.keys() == {"dpi"}
    collection = json.loads(done.tiles.read_text())
    assert len(collection["features"]) == done.seen > 5
    corner = collection["features"][0]["geometry"]["coordinates"][0]
    assert corner[2] == [corner[0][0] + 64, corner[0][1] + 64]
    assert {word.split()[0] for word in done.prediction.split(", ")} == {"G2", "G3", "G4"}
    assert sum(int(word.split()[1][:-1]) for word in done.prediction.split(", ")) == pytest.approx(100, abs=1)


def test_two_runs_give_the_same_bytes(hospital, tmp_path):
    study = slide_study()
    first, again = (
        draw_heatmap(hospital.site, study, hospital.model(study), "first", tmp_path / name) for name in "ab"
    )
    assert first.picture.read_bytes() == again.picture.read_bytes()
    assert first.tiles.read_bytes() == again.tiles.read_bytes()


def test_the_state_folder_is_the_default(hospital):
    study = slide_study()
    done = draw_heatmap(hospital.site, study, hospital.model(study), "third")
    assert done.picture == hospital.site.state / "heatmaps" / "third.png"
    assert sorted(path.name for path in done.picture.parent.iterdir()) == ["third.geojson", "third.png"]


def test_a_model_without_attention_is_refused(hospital):
    study = slide_study("linear")
    with pytest.raises(BadInput, match="expected a model with attention over patches, got linear; heatmaps need e.g."):
        attend(hospital.site, study, hospital.model(study), "first")


def test_a_model_of_another_study_is_refused(hospital):
    other = hospital.model(slide_study("dp_small"))
    with pytest.raises(BadInput, match="expected the weights of study looking, got another model's"):
        attend(hospital.site, slide_study(), other, "first")


def test_a_file_that_holds_no_model_is_refused(hospital, tmp_path):
    study = slide_study("dp_small")
    (tmp_path / "gene_stats.safetensors").write_bytes(
        hospital.model(study).with_name("gene_stats.safetensors").read_bytes()
    )
    for content in (None, b"not a model"):
        if content is not None:
            (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(BadInput, match="expected a safetensors file, got .*; give the file of a finished run"):
            attend(hospital.site, study, tmp_path / "model.safetensors", "first")


def test_gene_statistics_must_lie_beside_the_model(hospital, tmp_path):
    study = slide_study()
    (tmp_path / "model.safetensors").write_bytes(hospital.model(study).read_bytes())
    with pytest.raises(BadInput, match="expected the gene statistics of the run, got none; copy the whole run folder"):
        attend(hospital.site, study, tmp_path / "model.safetensors", "first")


def test_an_unknown_slide_is_refused_without_its_name(hospital):
    study = slide_study()
    with pytest.raises(
        BadInput, match="expected the id of a prepared slide, got another; see prepare-report"
    ) as caught:
        attend(hospital.site, study, hospital.model(study), "PATIENT-A-007")
    assert "PATIENT" not in str(caught.value)


def test_a_study_that_is_not_prepared_or_has_no_slides_is_refused(hospital):
    slides = slide_study().modalities.slides.model_copy(update={"mpp": 1.0})
    study = slide_study()
    other = study.model_copy(update={"modalities": study.modalities.model_copy(update={"slides": slides})})
    with pytest.raises(BadInput, match="expected a feature store in .*, got none; run `mmfed-client prepare`"):
        attend(hospital.site, other, hospital.model(study), "first")
    tables = slide_study(modalities={"clinical": {}})
    with pytest.raises(BadInput, match="expected a study with slides, got one without"):
        attend(hospital.site, tables, Path("model.safetensors"), "first")


def test_an_excluded_patient_is_refused(hospital):
    study = slide_study()
    exclusions = hospital.site.data / "exclude.csv"
    exclusions.write_text("case_id,date,reason\nPATIENT-A-000,2026-01-01,withdrew\n")
    try:
        with pytest.raises(BadInput, match="got one that is excluded or lacks it"):
            attend(hospital.site, study, hospital.model(study), "first")
    finally:
        exclusions.unlink()


def test_a_slide_that_is_gone_is_refused(hospital, tmp_path):
    study = slide_study()
    path = hospital.site.data / "slides" / "first.svs"
    path.rename(tmp_path / "first.svs")
    try:
        with pytest.raises(BadInput, match="expected the slide in the data folder, got its features only"):
            draw_heatmap(hospital.site, study, hospital.model(study), "first", tmp_path)
    finally:
        (tmp_path / "first.svs").rename(path)
