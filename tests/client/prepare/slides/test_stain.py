from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from client.prepare.slides.quality import inspect
from client.prepare.slides.slide import open_slide
from client.prepare.slides.stain import fit_stain
from shared.errors import SlideError
from tests.slide_files import tissue_pixels, write_pyramid

REAL = Path("../shared/data/slides/CMU-1-Small-Region.svs")


@pytest.fixture(scope="module")
def stained(tmp_path_factory) -> Path:
    return write_pyramid(tmp_path_factory.mktemp("stain") / "s.svs", tissue_pixels(768, 768))


def fitted(kind: str, path: Path, mpp: float = 0.5):
    with open_slide(path) as slide:
        return fit_stain(kind, slide, inspect(slide, mpp, True))


def test_none_changes_nothing(stained):
    tile = tissue_pixels(64, 64)
    assert fitted("none", stained)(tile) is tile


@pytest.mark.parametrize("kind", ["macenko", "reinhard"])
def test_a_slide_gives_one_normaliser_in_any_thread(stained, kind):
    tile = tissue_pixels(224, 224)
    normalise = fitted(kind, stained)
    expected = normalise(tile)
    assert expected.shape == tile.shape
    assert np.abs(expected.astype(int) - tile).mean() > 3
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(normalise, [tile] * 8):
            np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(fitted(kind, stained)(tile), expected)


@pytest.mark.parametrize("kind", ["macenko", "reinhard"])
def test_a_slide_with_hardly_any_tissue_is_refused(tmp_path, kind):
    pixels = np.full((512, 512, 3), 243, np.uint8)
    pixels[100:108, 100:108] = (200, 120, 180)
    path = write_pyramid(tmp_path / "g.svs", pixels)
    with pytest.raises(SlideError, match=r"expected at least 2000 stained pixels .*, got \d+; leave the slide out"):
        fitted(kind, path)


@pytest.mark.skipif(not REAL.is_file(), reason="the shared test data is not there")
def test_a_real_slide_has_haematoxylin_and_eosin():
    normalise = fitted("macenko", REAL, 0.499)
    haematoxylin, eosin = normalise.stains
    assert haematoxylin[0] > 0.4
    assert eosin[0] < 0.25
    assert eosin[1] > 0.75
    with open_slide(REAL) as slide:
        tile = slide.read((600, 1000), 0, (224, 224))
    drawn = normalise(tile)
    assert drawn[..., 1].mean() < drawn[..., 0].mean()  # still pink and violet
    assert 60 < drawn.mean() < 230
