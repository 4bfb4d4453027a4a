from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from simulations.attention.pictures import draw_pictures, patients_to_show

pytestmark = pytest.mark.slow


def test_each_class_shows_those_it_is_best_recognised_in(drawn: Any) -> None:
    one = drawn.attended[0]
    made = [replace(one, kind=k, scores=np.array(s)) for k, s in ((0, [0.5, 0.5]), (1, [0.4, 0.6]), (0, [0.9, 0.1]))]
    assert patients_to_show([*made, drawn.attended[3]], 2) == [made[2], made[0], made[1]]  # the last has no slide


def test_survival_shows_the_highest_and_the_lowest_risk(drawn: Any) -> None:
    made = [replace(drawn.attended[0], kind=0, scores=np.array([s, s])) for s in (0.4, 0.1, 0.9, 0.8, 0.2, 0.3, 0.7)]
    shown = [patient.scores[0] for patient in patients_to_show(made, 1)]
    assert shown == [0.1, 0.2, 0.3, 0.7, 0.8, 0.9]


def test_a_patient_is_shown_as_slide_and_tiles(drawn: Any) -> None:
    patient = replace(drawn.attended[0], tiles=np.array([0.1, 0.5, 0.2, 0.15, 0.05]))
    pictures = draw_pictures([patient, drawn.attended[3]], generated=True)
    assert pictures is not None
    (shown,) = pictures.patients
    assert shown.size == (512, 512)
    assert max(Image.open(BytesIO(shown.jpeg)).size) <= 400
    assert [round(tile.times, 2) for tile in shown.most] == [2.5, 1.0]
    assert [round(tile.times, 2) for tile in shown.least] == [0.5, 0.25]
    assert Image.open(BytesIO(shown.most[0].jpeg)).size == (112, 112)
    assert shown.lesion is not None
    assert shown.prototypes is None


def test_a_tile_is_cut_from_where_the_model_saw_it(drawn: Any) -> None:
    weights = np.array([0.1, 0.5, 0.2, 0.15, 0.05])
    pictures = draw_pictures([replace(drawn.attended[0], tiles=weights)], generated=True)
    assert pictures is not None
    shown = pictures.patients[0]
    whole = Image.open(BytesIO(shown.jpeg))
    scale = whole.size[0] / shown.size[0]
    x, y = shown.corners[1]
    box = tuple(int(v * scale) for v in (x, y, x + shown.side, y + shown.side))
    expected = np.asarray(whole.crop(box).resize((8, 8), Image.Resampling.BOX), dtype=float)
    cut = np.asarray(Image.open(BytesIO(shown.most[0].jpeg)).resize((8, 8), Image.Resampling.BOX), dtype=float)
    assert np.abs(cut - expected).mean() < 6
    assert np.abs(cut[::-1] - expected).mean() > 6  # and not the same anywhere


def test_the_lesion_of_a_real_slide_is_not_looked_for(drawn: Any) -> None:
    pictures = draw_pictures(drawn.attended[:1], generated=False)
    assert pictures is not None
    assert pictures.patients[0].lesion is None


def test_nobody_with_a_slide_gives_no_pictures(drawn: Any) -> None:
    assert draw_pictures(drawn.attended[3:], generated=True) is None
