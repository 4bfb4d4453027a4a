import numpy as np
import pytest

from client.heatmap.attention import TileAttention, _words
from client.heatmap.drawing import tiles_for_qupath
from shared.study import parse_study
from tests.federation import CONTENT, tiny_study

ATTENTION = TileAttention(
    corners=np.array([[0, 0], [100, 0], [100, 100]]),
    weights=np.array([0.1, 0.4, 0.0]),
    attributes={},
    prediction="G2 60%, G3 40%",
)


def test_tiles_in_the_form_that_qupath_imports():
    collection = tiles_for_qupath(ATTENTION, side=99.6)
    assert collection["type"] == "FeatureCollection"
    middle = collection["features"][1]
    assert middle["geometry"] == {
        "type": "Polygon",
        "coordinates": [[[100, 0], [200, 0], [200, 100], [100, 100], [100, 0]]],
    }
    assert middle["properties"] == {
        "objectType": "tile",
        "name": "attention 1.000",
        "color": [252, 255, 164],  # the last colour of inferno
        "classification": {"name": "Attention", "color": [252, 165, 10]},
        "isLocked": True,
        "measurements": [
            {"name": "Attention share of slide maximum", "value": 1.0},
            {"name": "Attention weight", "value": 0.4},
        ],
    }
    shares = [feature["properties"]["measurements"][0]["value"] for feature in collection["features"]]
    assert shares == pytest.approx([0.25, 1, 0])


def test_no_attention_at_all_is_no_division_by_zero():
    nothing = TileAttention(ATTENTION.corners, np.zeros(3), {}, "")
    assert nothing.shares.tolist() == [0, 0, 0]


def test_predictions_are_said_in_words():
    grade = tiny_study()
    assert _words(np.array([0.204, 0.7, 0.096]), grade) == "G3 70%, G2 20%, G4 10%"
    months = parse_study({**CONTENT, "task": {"kind": "survival", "time_edges": [12, 24]}})
    assert _words(np.array([0.9, 0.75, 0.5]), months) == "survival: 12 months 90%, 24 months 75%"
