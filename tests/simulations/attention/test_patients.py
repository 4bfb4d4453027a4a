from typing import Any

import numpy as np
import pytest
import torch

from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.bag_files import read_bag_coords
from shared.cohort.spread import spread
from shared.site import read_site
from shared.weights import new_model

pytestmark = pytest.mark.slow


def test_every_patient_has_the_weights_that_the_model_gave(drawn: Any) -> None:
    model = new_model(drawn.study).eval()
    with torch.no_grad():
        output = model(drawn.patients.batch(range(5)))
    for i, patient in enumerate(drawn.attended):
        seen = min(len(drawn.patients.bags[i]), 5)
        assert np.allclose(patient.tiles, output["attention"]["slides"][i, :seen].numpy(), atol=1e-6)
        assert patient.kind == drawn.patients.y[i]
        assert patient.site == "AA"
    assert [len(patient.tiles) for patient in drawn.attended] == [5, 5, 5, 0, 0]
    assert all(np.isclose(patient.tiles.sum(), 1) for patient in drawn.attended[:3])


def test_tiles_are_those_that_the_model_sees_of_all_slides(drawn: Any) -> None:
    folder = store_folder(read_site(drawn.hospital.site_file), PrepareSettings.of(drawn.study)) / "slides"
    third = drawn.attended[2]
    bags = [read_bag_coords(folder / f"{name}.h5") for name in ("s2", "s3")]
    chosen = spread(sum(map(len, bags)), 5)
    assert np.array_equal(np.concatenate([slide.corners for slide in third.slides]), np.concatenate(bags)[chosen])
    assert np.array_equal(np.concatenate([slide.rows for slide in third.slides]), np.arange(5))
    assert [slide.file.name for slide in third.slides] == ["s2.svs", "s3.svs"]
    assert {(slide.side, slide.mpp) for slide in third.slides} == {(128.0, 0.5)}


def test_a_patient_without_slides_has_no_tiles(drawn: Any) -> None:
    assert [patient.slides for patient in drawn.attended[3:]] == [(), ()]
