"""Slides drawn again: real Aperio files that differ by the dose, of the hospitals under it."""

from pathlib import Path

import numpy as np
import openslide
import pytest

from simulations.stresses.curve import Base
from simulations.stresses.slide_looks import cohort_of, draw_again, look_of, no_drawn_slides
from simulations.synthetic import Hospital, write_cohort
from simulations.synthetic.looks import Look

HOSPITALS = (Hospital("AA", 1, missing_share=0.0), Hospital("AB", 1, missing_share=0.0))


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Base:
    root = tmp_path_factory.mktemp("looks")
    write_cohort(root / "cohort", seed=1, workers=1, hospitals=HOSPITALS)
    return Base([], None, root / "cohort", root / "cache", 1, lambda *_: None)  # type: ignore[arg-type]


def drawn(base: Base, look: Look, folder: Path) -> Path:
    draw_again(base, {"AA": look})["AA"](folder)
    (slide,) = folder.iterdir()
    return slide


def pixels(path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    with openslide.OpenSlide(path) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        width, height = slide.dimensions
        region = slide.read_region((width // 2 - 200, height // 2 - 200), 0, (400, 400)).convert("RGB")
    return np.asarray(region, dtype=np.float64)


def test_the_same_look_draws_the_same_bytes(slides: Base, tmp_path: Path) -> None:
    seed, hospitals = cohort_of(slides.cohort)
    assert (seed, list(hospitals.values())) == (1, list(HOSPITALS))
    again = drawn(slides, look_of(seed, "AA"), tmp_path / "slides")
    assert again.read_bytes() == (slides.cohort / "slides" / again.name).read_bytes()


def test_a_wider_spread_changes_the_colour_and_more_blur_the_detail(slides: Base, tmp_path: Path) -> None:
    before = look_of(1, "AA")
    plain = pixels(next((slides.cohort / "slides").glob("TCGA-AA-*.svs")))
    stained = pixels(drawn(slides, look_of(1, "AA", 3.0), tmp_path / "stained"))
    assert np.abs(stained.mean(axis=(0, 1)) - plain.mean(axis=(0, 1))).max() > 4
    soft = Look(**{**before.__dict__, "blur_px": 4.0})
    blurred = pixels(drawn(slides, soft, tmp_path / "blurred"))
    absorbed = [np.log(image + 1).mean(axis=(0, 1)) for image in (blurred, plain)]
    assert np.abs(absorbed[0] - absorbed[1]).max() < 0.03  # stain is spread, none is lost
    assert np.abs(np.diff(blurred, axis=0)).mean() < 0.7 * np.abs(np.diff(plain, axis=0)).mean()


def test_only_the_synthetic_glioma_cohort_can_be_drawn_again(tmp_path: Path, slides: Base) -> None:
    assert no_drawn_slides("stain", ("slides",), slides.cohort) == ""
    assert "expected a study with slides, got blood" in no_drawn_slides("stain", ("blood",), slides.cohort)
    assert "expected the synthetic glioma cohort" in no_drawn_slides("blur", ("slides",), tmp_path)
