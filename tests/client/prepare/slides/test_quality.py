import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from client.prepare.slides.quality import inspect, is_blurred
from client.prepare.slides.slide import open_slide
from client.prepare.slides.tiling import TileGrid, read_tile
from simulations.synthetic.looks import draw_look
from simulations.synthetic.nuclei import Morphology
from simulations.synthetic.slides import render_slide
from tests.slide_files import tissue_pixels, write_pyramid, write_single_level

REAL = Path("../shared/data/slides")
real_slides = pytest.mark.skipif(not REAL.is_dir(), reason="the shared test data is not there")
INK = (20, 140, 70)


def blurred(tile: np.ndarray, sigma: float) -> np.ndarray:
    """The tile out of focus, as a JPEG stores it."""
    soft = gaussian_filter(tile.astype(np.float32), (sigma, sigma, 0))
    file = BytesIO()
    Image.fromarray((soft + 0.5).astype(np.uint8)).save(file, "JPEG", quality=80)
    return np.asarray(Image.open(file))


def flagged(tiles, sigma: float = 0.0, mpp: float = 0.5) -> float:
    return float(np.mean([is_blurred(blurred(tile, sigma) if sigma else tile, mpp) for tile in tiles]))


def real_tiles(name: str, mpp: float) -> list[np.ndarray]:
    """Every tissue tile of 224 px at the slide's own resolution `mpp`."""
    with open_slide(REAL / name) as slide:
        grid = TileGrid.of(slide, mpp, tile=224, mpp=mpp)
        corners = grid.tissue_tiles(slide, inspect(slide, mpp, True).usable)
        return [read_tile(slide, grid, (int(x), int(y))) for x, y in corners]


@real_slides
@pytest.mark.parametrize(
    ("name", "mpp", "least"),
    [
        ("CMU-1-Small-Region.svs", 0.499, 40),
        pytest.param("TCGA-CR-7395-01A-01-TS1.svs", 0.5, 150, marks=pytest.mark.slow),
    ],
)
def test_focus_on_real_slides(name, mpp, least):
    tiles = real_tiles(name, mpp)
    assert len(tiles) >= least
    assert flagged(tiles, mpp=mpp) <= 0.02
    assert flagged(tiles[::3], 2.0, mpp) > 0.95
    assert flagged(tiles[::3], 3.0, mpp) > 0.95


def synthetic(seed: int) -> np.ndarray:
    """The middle of a synthetic slide, 448 x 448 px at .5 um, as one hospital scans it."""
    look = draw_look(np.random.SeedSequence([5, seed]))
    return render_slide(Morphology(level=seed, oligo=0.3), look, np.random.SeedSequence(seed)).pixels[288:736, 288:736]


@pytest.mark.parametrize("seed", [0, 1])
def test_focus_on_synthetic_slides(seed):
    """Scanners of synthetic hospitals are softer than one another, none is out of focus."""
    slide = synthetic(seed)
    tiles = [slide[y : y + 224, x : x + 224] for y in (0, 224) for x in (0, 224)]
    assert flagged(tiles) == 0
    assert flagged(tiles, 2.0) == 1


@pytest.fixture(scope="module")
def textured() -> np.ndarray:
    return synthetic(0)


@pytest.mark.parametrize("strength", [0.15, 0.5, 1.0])
def test_focus_does_not_depend_on_the_strength_of_the_stain(textured, strength):
    def pale(tile):
        return (245 - strength * (245 - tile.astype(float))).astype(np.uint8)

    assert not is_blurred(pale(textured), 0.5)
    assert is_blurred(pale(blurred(textured, 2.0)), 0.5)


def test_focus_is_judged_in_um(textured):
    """At .25 um detail of 2 px is that of 1 px at .5 um; above .5 um the pixels are what there is."""
    soft = np.asarray(Image.fromarray(textured).resize((896, 896), Image.Resampling.BICUBIC))
    assert is_blurred(soft, 0.5)
    assert not is_blurred(soft, 0.25)
    assert not is_blurred(textured, 1.0)


def test_nothing_to_see_is_not_blurred():
    assert not is_blurred(np.full((64, 64, 3), 245, np.uint8), 0.5)


def written(path: Path, pixels: np.ndarray) -> Path:
    return write_pyramid(path, pixels, downsamples=(1, 4), mpp=0.5)


@pytest.fixture
def inked(tmp_path) -> Path:
    """Tissue of 1024 x 1024 px (512 um) with a green stroke over its upper half, and a black border on the left."""
    pixels = tissue_pixels(1024, 1024)
    pixels[200:460, 100:900] = INK
    pixels[:, :130] = 4
    return written(tmp_path / "inked.svs", pixels)


def test_artifacts_are_measured_and_taken_out(inked):
    with open_slide(inked) as slide:
        found = inspect(slide, 0.5, quality=True)
        plain = inspect(slide, 0.5, quality=False)
    assert found.warning == plain.warning == ""
    assert found.fractions == plain.fractions
    assert found.fractions["pen"] == pytest.approx(260 * 770 / 1024**2, rel=0.1)
    assert found.fractions["black"] == pytest.approx(130 / 1024, rel=0.1)
    assert found.fractions["bubbles"] == 0
    assert found.fractions["tissue"] == pytest.approx(0.5, abs=0.2)
    row, column = round(330 / found.usable.scale), round(512 / found.usable.scale)
    assert plain.usable.pixels[row, column]
    assert not found.usable.pixels[row, column]
    assert found.usable.pixels[round(700 / found.usable.scale), column]
    np.testing.assert_array_equal(plain.usable.pixels, plain.tissue.pixels)
    np.testing.assert_array_equal(found.tissue.pixels, plain.tissue.pixels)


def test_a_slide_is_never_emptied(tmp_path):
    pixels = np.full((1024, 1024, 3), 245, np.uint8)
    pixels[200:800, 200:800] = INK
    with open_slide(written(tmp_path / "ink.svs", pixels)) as slide:
        found = inspect(slide, 0.5, quality=True)
        assert inspect(slide, 0.5, quality=False).warning == ""
    assert re.fullmatch(
        r"expected quality control to leave tissue, got [0-4]\.\d% of it left "
        r"\(pen 3\d\.\d%, black 0\.0%, bubbles 0\.0% of the slide\); all tissue was kept, so look at the slide",
        found.warning,
    )
    np.testing.assert_array_equal(found.usable.pixels, found.tissue.pixels)
    assert found.usable.pixels.mean() > 0.3


def test_glass_alone_has_no_tissue_and_no_warning(tmp_path):
    with open_slide(written(tmp_path / "g.svs", np.full((512, 512, 3), 240, np.uint8))) as slide:
        found = inspect(slide, 0.5, quality=True)
    assert set(found.fractions.values()) == {0.0}
    assert not found.usable.pixels.any()
    assert found.warning == ""


def test_masks_have_8_um_a_pixel_and_the_picture_512(tmp_path):
    path = write_single_level(tmp_path / "s.tiff", tissue_pixels(1200, 2048), mpp=0.25)
    with open_slide(path) as slide:
        found = inspect(slide, 0.25, quality=True)
    assert found.tissue.scale == 32
    assert found.tissue.pixels.shape == (38, 64)
    assert found.picture.shape == (300, 512, 3)
    assert found.white.tolist() == pytest.approx([243, 243, 243], abs=1)


def test_a_slide_that_is_coarse_keeps_its_pixels(tmp_path):
    with open_slide(write_single_level(tmp_path / "s.tiff", tissue_pixels(60, 80), mpp=20.0)) as slide:
        found = inspect(slide, 20.0, quality=True)
    assert found.tissue.pixels.shape == (60, 80)
    assert found.picture.shape == (60, 80, 3)
    assert found.fractions["tissue"] == pytest.approx(0.5, abs=0.1)


@real_slides
def test_real_tissue_is_not_taken_for_artifacts():
    for name, mpp in (("CMU-1-Small-Region.svs", 0.499), ("TCGA-CR-7395-01A-01-TS1.svs", 2.0)):
        with open_slide(REAL / name) as slide:
            found = inspect(slide, mpp, quality=True)
        assert 0.35 < found.fractions["tissue"] < 0.65
        assert max(found.fractions[name] for name in ("pen", "black", "bubbles")) < 0.002
