"""The files of a breast cohort."""

import hashlib
import json
from pathlib import Path

import numpy as np
import openslide
import pandas as pd
import pytest

from shared.cohort.tables import read_clinical, read_expression, read_slides
from simulations.synthetic import BREAST, cohort_digest, read_marker, write_cohort
from simulations.synthetic.breast.hospitals import BREAST_HOSPITALS, SUBTYPES, BreastHospital
from simulations.synthetic.breast.patients import draw_breast_patients
from simulations.synthetic.expression import panel_genes

pytestmark = pytest.mark.slow  # together they take seconds


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_second_writing_gives_the_same_bytes(
    breast_cohort: Path, breast_hospitals: tuple[BreastHospital, ...], tmp_path: Path
) -> None:
    write_cohort(tmp_path / "again", kind=BREAST, seed=3, workers=1, hospitals=breast_hospitals)
    assert hashes(tmp_path / "again") == hashes(breast_cohort)


def test_the_folder_holds_what_the_architecture_says(breast_cohort: Path) -> None:
    names = {path.name for path in breast_cohort.iterdir()}
    assert names == {"SYNTHETIC", "clinical.tsv", "expression.tsv.gz", "slides.tsv", "slides"}
    clinical, slides, genes = read_clinical(breast_cohort), read_slides(breast_cohort), read_expression(breast_cohort)
    assert {case[5:7] for case in clinical["case_id"]} == {"AA", "02", "CC"}
    assert set(clinical["pam50"]) <= set(SUBTYPES)
    assert set(clinical.columns) >= {"age_at_diagnosis", "sex", "os_months", "os_event"}
    assert slides is not None
    assert genes is not None
    assert not {case[5:7] for case in slides["case_id"]} & {"02"}
    assert not {case[5:7] for case in genes.columns} & {"CC"}
    assert slides["path"].notna().all()
    assert tuple(genes.index) == panel_genes()
    assert float(genes.to_numpy().min()) >= 0


def test_every_slide_opens_and_has_a_lesion_inside_it(breast_cohort: Path) -> None:
    slides = sorted((breast_cohort / "slides").glob("*.svs"))
    assert len(slides) >= 5
    for path in slides:
        with openslide.OpenSlide(path) as slide:
            assert slide.dimensions == (768, 768)
            assert float(slide.properties["openslide.mpp-x"]) == 0.5
        lesion = json.loads(path.with_suffix(".geojson").read_text())["features"][0]["geometry"]["coordinates"][0]
        assert 0 <= np.min(lesion) < np.max(lesion) <= 768


def test_the_marker_and_the_digest_name_the_kind(breast_cohort: Path) -> None:
    marker = read_marker(breast_cohort)
    assert marker is not None
    assert (marker["kind"], marker["seed"]) == ("breast", 3)
    assert marker["modalities"] == ["slides", "expression", "clinical"]
    assert cohort_digest(kind=BREAST) != cohort_digest()


def test_a_quarter_is_basal_or_her2_and_hospitals_differ() -> None:
    shares = {}
    for hospital in BREAST_HOSPITALS:
        kinds = pd.Series([p.pam50 for p in draw_breast_patients(hospital, seed=1)])
        shares[hospital.code] = kinds.isin(["Basal", "Her2"]).mean()
        assert shares[hospital.code] == pytest.approx(hospital.aggressive, abs=1.5 / hospital.patients)
    training = [hospital for hospital in BREAST_HOSPITALS if hospital.patients >= 20]
    assert len(training) == 8
    assert 0.23 < np.mean([shares[hospital.code] for hospital in training]) < 0.30
    assert max(shares.values()) - min(shares.values()) > 0.2


def test_what_is_not_offered_is_missing_and_nobody_has_nothing() -> None:
    for hospital in BREAST_HOSPITALS:
        patients = draw_breast_patients(hospital, seed=2)
        assert any(p.has_slide for p in patients) == hospital.slides
        assert any(p.has_expression for p in patients) == hospital.expression
        assert all(p.has_slide or p.has_expression for p in patients)


def test_a_patient_depends_on_no_other() -> None:
    ten, same = (draw_breast_patients(BreastHospital(code, 10, 0.3), seed=0) for code in ("AA", "AB"))
    assert [p.luminal for p in ten] == [p.luminal for p in draw_breast_patients(BreastHospital("AA", 10, 0.3), seed=0)]
    assert ten[0].age != same[0].age


@pytest.mark.parametrize("wrong", [{"code": "A"}, {"patients": 0}, {"aggressive": 1.2}])
def test_a_wrong_hospital_is_refused(wrong: dict[str, object]) -> None:
    right: dict[str, object] = {"code": "AA", "patients": 4}
    with pytest.raises(ValueError, match="hospital .*expected .*, got .*;"):
        BreastHospital(**{**right, **wrong})  # type: ignore[arg-type]
