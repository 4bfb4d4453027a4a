import json
from pathlib import Path

import numpy as np
import openslide
import pytest
from numpy.typing import NDArray

from simulations.synthetic.aperio import write_aperio
from simulations.synthetic.looks import draw_look
from simulations.synthetic.nuclei import Morphology, draw_nuclei, scatter_centres
from simulations.synthetic.outlines import area, fill
from simulations.synthetic.slides import SIZE, render_slide

BLAND = Morphology(level=0.0, oligo=0.1)
WILD = Morphology(level=1.0, oligo=0.1)


def seeds(number: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(number)


def test_openslide_opens_every_slide_as_aperio(cohort: Path) -> None:
    paths = sorted(cohort.glob("slides/*.svs"))
    assert paths
    for path in paths:
        with openslide.OpenSlide(path) as slide:
            assert slide.properties["openslide.vendor"] == "aperio"
            assert float(slide.properties["openslide.mpp-x"]) == 0.5
            assert float(slide.properties["openslide.mpp-y"]) == 0.5
            assert float(slide.properties["openslide.objective-power"]) == 20
            assert slide.level_dimensions == ((1024, 1024), (256, 256))
            assert slide.properties["openslide.level[0].tile-width"] == "256"


def test_pixels_survive_the_file(tmp_path: Path) -> None:
    slide = render_slide(BLAND, draw_look(seeds(1)), seeds(2))
    write_aperio(tmp_path / "slide.svs", slide.pixels, mpp=0.5, power=20, jpeg_quality=90)
    with openslide.OpenSlide(tmp_path / "slide.svs") as opened:
        read = np.asarray(opened.read_region((256, 256), 0, (512, 512)).convert("RGB"), dtype=float)
        small = np.asarray(opened.read_region((0, 0), 1, (256, 256)).convert("RGB"), dtype=float)
    assert np.abs(read - slide.pixels[256:768, 256:768]).mean() < 4
    assert np.abs(small - slide.pixels.reshape(256, 4, 256, 4, 3).mean(axis=(1, 3))).mean() < 4


def test_a_slide_is_tissue_on_white_glass() -> None:
    pixels = render_slide(WILD, draw_look(seeds(1)), seeds(2)).pixels.astype(float)
    assert pixels.shape == (SIZE, SIZE, 3)
    assert pixels[:20, :20].min() > 200
    stained = pixels.max(axis=2) - pixels.min(axis=2) > 20
    assert 0.4 < stained.mean() < 0.8


def test_the_lesion_lies_inside_the_slide_and_covers_part_of_the_tissue(cohort: Path) -> None:
    for path in sorted(cohort.glob("slides/*.geojson")):
        collection = json.loads(path.read_text(encoding="utf-8"))
        (feature,) = collection["features"]
        ring = np.array(feature["geometry"]["coordinates"][0])
        assert feature["properties"]["classification"]["name"] == "Tumor"
        assert np.array_equal(ring[0], ring[-1])
        assert ring.min() > 0
        assert ring.max() < SIZE
        assert 0.25 < area(ring[:-1]) / SIZE**2 < 0.60
        assert path.with_suffix(".svs").is_file()


def test_area_and_fill_of_a_square() -> None:
    square = np.array([(2.0, 2.0), (12.0, 2.0), (12.0, 12.0), (2.0, 12.0)])
    assert area(square) == 100
    assert fill(square, 20).sum() == 121  # a polygon's own border pixels are drawn


def nuclear_mass(morphology: Morphology) -> tuple[float, NDArray[np.float32]]:
    everywhere = np.ones((SIZE, SIZE), dtype=bool)
    rng = np.random.default_rng(0)
    maps = draw_nuclei(scatter_centres(everywhere, everywhere, rng), morphology, SIZE, rng)
    return float(maps.haematoxylin.mean()), maps.haematoxylin


def test_the_amount_of_stain_does_not_follow_the_level_but_the_texture_does() -> None:
    (bland, bland_map), (wild, wild_map) = nuclear_mass(BLAND), nuclear_mass(WILD)
    assert wild == pytest.approx(bland, rel=0.06)
    assert wild_map[wild_map > 0.2].std() > 1.25 * bland_map[bland_map > 0.2].std()


def test_haloes_leave_less_eosin() -> None:
    everywhere = np.ones((SIZE, SIZE), dtype=bool)

    def left(oligo: float) -> float:
        rng = np.random.default_rng(0)
        centres = scatter_centres(everywhere, everywhere, rng)
        return float(draw_nuclei(centres, Morphology(0.2, oligo), SIZE, rng).eosin_left.mean())

    assert left(0.0) == 1.0
    assert left(0.6) < 0.97


def test_a_look_repeats_and_hospitals_differ() -> None:
    assert draw_look(seeds(1)) == draw_look(seeds(1))
    assert draw_look(seeds(1)) != draw_look(seeds(2))
