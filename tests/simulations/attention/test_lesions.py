from pathlib import Path

import numpy as np
import pytest

from simulations.attention.lesions import drawn_lesion, lesion_shares
from simulations.attention.patients import SeenTiles
from simulations.synthetic.annotation import write_lesion

SQUARE = np.array([[100.0, 100.0], [300.0, 100.0], [300.0, 300.0], [100.0, 300.0]])


def test_the_share_of_a_tile_in_a_square_is_its_overlap() -> None:
    corners = np.array([[100, 100], [50, 150], [250, 250], [0, 0], [400, 400]])
    tiles = SeenTiles(None, corners, 100.0, 0.5, np.arange(5))
    assert lesion_shares(tiles, SQUARE) == pytest.approx([1.0, 0.5, 0.25, 0.0, 0.0], abs=1 / 16)


def test_the_outline_lies_beside_the_slide_that_a_link_leads_to(tmp_path: Path) -> None:
    write_lesion(tmp_path / "slide.geojson", SQUARE)
    (tmp_path / "slide.svs").touch()
    (tmp_path / "hospital").mkdir()
    link = tmp_path / "hospital" / "slide.svs"
    link.symlink_to(tmp_path / "slide.svs")
    outline = drawn_lesion(link)
    assert outline is not None
    assert np.array_equal(outline, np.vstack([SQUARE, SQUARE[:1]]))


def test_a_slide_without_an_outline_has_no_lesion(tmp_path: Path) -> None:
    assert drawn_lesion(tmp_path / "slide.svs") is None
