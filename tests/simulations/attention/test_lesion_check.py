"""Three tiles in a row, the lesion over the first one and a half: worked by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from simulations.attention.lesion_check import check_lesions, looked_at
from simulations.attention.patients import AttendedPatient, SeenTiles
from simulations.synthetic.annotation import write_lesion

CORNERS = np.array([[0, 0], [160, 0], [320, 0]])


def patient(folder: Path, weights: Sequence[float], right: float = 400.0) -> AttendedPatient:
    """Tiles of 160 px; the lesion reaches to x = `right`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_lesion(folder / "s.geojson", np.array([[-1.0, -1.0], [right, -1.0], [right, 161.0], [-1.0, 161.0]]))
    slide = SeenTiles(folder / "s.svs", CORNERS, 160.0, 0.5, np.arange(3))
    return AttendedPatient("A", 0, np.array([1.0]), np.array(weights), (slide,))


def test_one_patient_by_hand(tmp_path: Path) -> None:
    found = looked_at(patient(tmp_path, [0.7, 0.2, 0.1], right=240.0))  # shares 1, .5, 0
    assert found is not None
    assert found.everywhere == pytest.approx(0.5)
    assert found.attended == pytest.approx(0.7 + 0.2 * 0.5)
    assert found.auc == 1.0  # one tile is more than half lesion, and has the highest weight
    assert found.tiles == 3


def test_even_weights_are_chance(tmp_path: Path) -> None:
    found = looked_at(patient(tmp_path, [1 / 3] * 3, right=240.0))
    assert found is not None
    assert (found.attended, found.auc) == (pytest.approx(found.everywhere), 0.5)


def test_tiles_on_one_side_have_no_auc(tmp_path: Path) -> None:
    found = looked_at(patient(tmp_path, [0.5, 0.3, 0.2], right=500.0))
    assert found is not None
    assert np.isnan(found.auc)
    assert (found.everywhere, found.attended) == (1.0, pytest.approx(1.0))


def test_the_means_are_over_patients_beside_the_untrained_network(tmp_path: Path) -> None:
    even = [1 / 3] * 3
    trained = [patient(tmp_path / "a", [0.8, 0.1, 0.1], 160.0), patient(tmp_path / "b", [0.1, 0.1, 0.8], 160.0)]
    untrained = [patient(tmp_path / "a", even, 160.0), patient(tmp_path / "b", even, 160.0)]
    found = check_lesions(trained, untrained)
    assert found is not None
    assert found["everywhere"]["value"] == pytest.approx(1 / 3)
    assert found["attended"]["value"] == pytest.approx((0.8 + 0.1) / 2)
    assert found["difference"]["value"] == found["gain"]["value"] == pytest.approx(0.45 - 1 / 3)
    assert found["auc"]["value"] == pytest.approx((1.0 + 0.25) / 2)  # above one tile, and tied with the other: 0 and .5
    assert (found["gain"]["low"], found["gain"]["high"]) == pytest.approx((0.1 - 1 / 3, 0.8 - 1 / 3))
    assert found["untrained"]["auc"]["value"] == 0.5
    assert found["auc"]["n"] == 2
    assert found["points"] == [[0.3333, 0.1], [0.3333, 0.8]]


def test_without_an_outline_nothing_is_checked(tmp_path: Path) -> None:
    one = patient(tmp_path, [0.4, 0.3, 0.3])
    (tmp_path / "s.geojson").unlink()
    assert looked_at(one) is None
    assert check_lesions([one], [one]) is None


def test_a_patient_without_slides_is_not_counted(tmp_path: Path) -> None:
    nobody = AttendedPatient("A", 0, np.array([1.0]), np.zeros(0))
    one = patient(tmp_path, [0.6, 0.2, 0.2], right=160.0)
    found = check_lesions([nobody, one], [nobody, one])
    assert found is not None
    assert found["attended"]["n"] == 1


def test_intervals_are_null_with_a_reason_when_every_tile_lies_in_the_lesion(tmp_path: Path) -> None:
    one = patient(tmp_path, [0.6, 0.2, 0.2], right=900.0)
    found = check_lesions([one], [one])
    assert found is not None
    assert found["auc"]["value"] is None
    assert found["auc"]["reason"] == "all tiles of every patient lie on one side"
