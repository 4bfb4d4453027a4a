"""One hospital with three drawn slides, prepared with an encoder of random weights."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.load import load_patients
from shared.cohort.patients import Patients
from shared.cohort.store import FeatureStore
from shared.site import read_site
from shared.study import Study
from shared.weights import new_model
from simulations.attention.patients import AttendedPatient, attended_patients
from simulations.hospitals import Hospital
from simulations.synthetic.annotation import write_lesion
from simulations.synthetic.aperio import write_aperio
from simulations.synthetic.looks import draw_look
from simulations.synthetic.nuclei import Morphology
from simulations.synthetic.slides import render_slide

SETTINGS = ("weights=random", "mpp=1.0", "tile=64", "max_patches=5", "quality=false")


@dataclass(frozen=True)
class Drawn:
    """A hospital, its patients as a model takes them, and the same as a model saw them."""

    study: Study
    hospital: Hospital
    patients: Patients
    attended: tuple[AttendedPatient, ...]


@pytest.fixture(scope="session")
def drawn(
    make_cohort: Callable[..., Path],
    make_study: Callable[..., Study],
    make_prepared: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Drawn:
    """Five patients: the first three have a slide, the third has two, the others have genes only."""
    root = tmp_path_factory.mktemp("drawn")
    cohort = make_cohort(root / "cohort", {"AA": 5})
    cases = pd.read_csv(cohort / "clinical.tsv", sep="\t")["case_id"].tolist()
    owners = [cases[0], cases[1], cases[2], cases[2]]
    table = pd.DataFrame({"case_id": owners, "slide_id": [f"s{i}" for i in range(4)]})
    table.to_csv(cohort / "slides.tsv", sep="\t", index=False)
    (cohort / "slides").mkdir()
    for i in range(4):
        seeds = np.random.SeedSequence(i)
        slide = render_slide(Morphology(level=0.5, oligo=0.1), draw_look(seeds), seeds, 512)
        write_aperio(cohort / f"slides/s{i}.svs", slide.pixels, mpp=0.5, power=20, jpeg_quality=90)
        write_lesion(cohort / f"slides/s{i}.geojson", slide.lesion)
    study = make_study(
        "model.architecture=s1_crossattn", "model.dim=16", "modalities.clinical=false",
        *(f"modalities.slides.{setting}" for setting in SETTINGS),
    )  # fmt: skip
    prepared = make_prepared(cohort, study, root / "cache")
    (hospital,) = prepared.hospitals
    store = FeatureStore.open(store_folder(read_site(hospital.site_file), PrepareSettings.of(prepared.study)))
    patients = load_patients(store, prepared.study, "log2").patients
    attended = attended_patients(new_model(prepared.study), patients, prepared.study, hospital)
    return Drawn(prepared.study, hospital, patients, attended)
