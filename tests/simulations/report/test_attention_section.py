"""The sections on attention of a page, from hand-made weights and pictures."""

import copy
import re
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from simulations.attention.pictures import Pictures, ShownPatient, ShownTile
from simulations.report import render_report
from simulations.report.attention_section import attention_section

TASK = {"classes": ["G2", "G3", "G4"]}


def v(value: float | None, low: float | None, high: float | None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": 30, "reason": None if value is not None else "one side"}


FOUND: dict[str, Any] = {
    "arm": "federated",
    "lesion": {
        "auc": v(0.95, 0.93, 0.97),
        "everywhere": v(0.64, 0.62, 0.66),
        "attended": v(0.9, 0.88, 0.92),
        "difference": v(0.26, 0.24, 0.28),
        "gain": v(0.25, 0.22, 0.27),
        "tiles": 44.0,
        "untrained": {"auc": v(0.6, 0.5, 0.7), "attended": v(0.65, 0.63, 0.67)},
        "points": [[0.5, 0.9], [0.7, 0.95]],
    },
    "groups": {
        "names": ["growth_factors_and_their_receptors", "kinases"],
        "kinds": {"G2": {"n": 3, "mean": [0.7, 0.3]}},
    },
    "prototypes": {"n": 30, "tiles": [0.75, 0.25], "lesion": [0.9, None]},
}


def jpeg(colour: str) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "JPEG")
    return buffer.getvalue()


def shown(prototypes: list[int] | None = None) -> ShownPatient:
    return ShownPatient(
        site="<SA>",
        kind=1,
        scores=np.array([0.1, 0.7, 0.2]),
        jpeg=jpeg("pink"),
        size=(100, 80),
        corners=np.array([[0, 0], [50, 0]]),
        side=50.0,
        times=np.array([1.5, 0.5]),
        prototypes=None if prototypes is None else np.array(prototypes),
        lesion=np.array([[0.0, 0.0], [60.0, 0.0], [60.0, 60.0]]),
        most=(ShownTile(jpeg("red"), 1.5),),
        least=(ShownTile(jpeg("blue"), 0.5),),
    )


def test_attention_on_the_lesion_is_told_with_its_figures() -> None:
    title, text = attention_section({"attention": FOUND}, TASK, None)["verdict"]
    assert title == "The model learned to look at the lesion"
    for figure in ("30 test patients, 44 tiles each", "64% of the tiles", "90%", "0.260 more (0.240–0.280)", "0.950"):
        assert figure in text


@pytest.mark.parametrize(
    ("name", "value", "title"),
    [
        ("auc", v(0.55, 0.49, 0.6), "The model does not look at the lesion"),
        ("difference", v(0.01, -0.01, 0.03), "The model does not look at the lesion"),
        ("gain", v(0.01, -0.01, 0.03), "Attention lies on the lesion, but no more than before training"),
        ("auc", v(None, None, None), "Nothing can be said"),
    ],
)
def test_an_interval_that_holds_chance_is_no_finding(name: str, value: dict[str, Any], title: str) -> None:
    found = copy.deepcopy(FOUND)
    found["lesion"][name] = value
    assert attention_section({"attention": found}, TASK, None)["verdict"][0] == title


def test_the_page_shows_slides_tiles_prototypes_and_groups(plain: dict[str, Any], study_toml: str) -> None:
    html = render_report(plain | {"attention": FOUND}, study_toml, Pictures((shown([0, -1]),), True))
    sections = re.findall(r"<h2>(.*?)</h2>", html)
    assert [s for s in sections if s in ("Where the model looked", "Prototypes", "What the model weighs")] == [
        "Where the model looked", "Prototypes", "What the model weighs",
    ]  # fmt: skip
    assert html.count("data:image/jpeg;base64,") == 3  # the slide once, and two tiles
    assert html.count('href="#slide-0"') == 2  # attention and prototypes over the same picture
    assert "G3, hospital &lt;SA&gt;" in html
    assert "predicted G3, 70%" in html
    assert "were drawn by mmfed and show no person’s tissue" in html
    assert "1: 75% of tiles, 90% of their area lesion" in html
    assert "growth factors and" in html
    references = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert all(reference.startswith(("#", "data:image/jpeg;base64,")) for reference in references)


def test_pictures_of_a_real_cohort_say_that_a_simulation_holds_them(plain: dict[str, Any], study_toml: str) -> None:
    html = render_report(plain, study_toml, Pictures((shown(),), False))
    assert "in a federation no picture leaves its hospital" in html
    assert "show no person’s tissue" not in html
    assert "<h2>Prototypes</h2>" not in html


def test_the_tile_of_most_attention_is_the_lightest() -> None:
    (card,) = attention_section({}, TASK, Pictures((shown(),), True))["cards"]
    fills = re.findall(r'<rect x="(\d+)"[^>]*fill="#(\w+)"', card["heat"])
    light = {x: int(colour, 16) for x, colour in fills}
    assert light["0"] > light["50"]


def test_a_model_without_weights_has_no_section(plain: dict[str, Any], study_toml: str) -> None:
    assert attention_section({"attention": {}}, TASK, None) == {}
    assert "Where the model looked" not in render_report(plain, study_toml)
