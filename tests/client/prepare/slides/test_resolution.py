from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.slides.resolution import COARSEST, FINEST, slide_mpp
from client.prepare.slides.slide import open_slide
from shared.errors import SlideError
from tests.slide_files import tissue_pixels, write_pyramid, write_single_level

REAL = Path("../shared/data/slides")
real_slides = pytest.mark.skipif(not REAL.is_dir(), reason="the shared test data is not there")
PIXELS = tissue_pixels(300, 300)


def slide(x="", y=None, **tags):
    properties = {"openslide.mpp-x": x, "openslide.mpp-y": x if y is None else y} if x or y else {}
    return SimpleNamespace(properties=properties | {f"tiff.{name}": value for name, value in tags.items()})


CENTIMETRES = {"XResolution": "20000", "YResolution": "20000", "ResolutionUnit": "centimeter"}
INCHES = {"XResolution": "50800", "YResolution": "50800", "ResolutionUnit": "inch"}


@pytest.mark.parametrize(
    ("given_slide", "mpp"),
    [
        (slide("0.2527"), 0.2527),
        (slide("0.50", "0.51"), 0.5),
        (slide("0.25", **CENTIMETRES), 0.25),  # the scanner's own word goes before the tags
        (slide(**CENTIMETRES), 0.5),
        (slide(**INCHES), 0.5),
        (slide("0", **CENTIMETRES), 0.5),
    ],
)
def test_what_the_file_says(given_slide, mpp):
    assert slide_mpp(given_slide) == pytest.approx(mpp)


@pytest.mark.parametrize(
    ("given_slide", "why"),
    [
        (slide(), r"got none in its properties or TIFF resolution tags; add a column mpp to slides\.tsv"),
        (slide("0"), "got openslide.mpp = 0, 0; add a column mpp"),
        (slide("-0.5"), "got openslide.mpp = -0.5, -0.5"),
        (slide("nan"), "got openslide.mpp = nan, nan"),
        (slide("1e9"), "got openslide.mpp = 1e9, 1e9"),
        (slide("0.04"), "expected a resolution of 0.05 to 20 um per pixel in the slide, got openslide.mpp = 0.04"),
        (slide("20x"), "got openslide.mpp = 20x, 20x"),
        (slide("0,5"), "got openslide.mpp = 0,5, 0,5"),
        (slide("0.5", ""), "got openslide.mpp = 0.5, nothing"),
        (slide("0.5", "0.6"), "expected square pixels, got openslide.mpp = 0.5, 0.6; export the slide with square"),
        (slide(XResolution="1", YResolution="1", ResolutionUnit="none"), "got none in its properties"),
        (slide(ResolutionUnit="inch"), "got none in its properties"),
        (slide(XResolution="0", YResolution="0", ResolutionUnit="inch"), "by TIFF resolution tags = 0, 0"),
        (slide(XResolution="20000", YResolution="9000", ResolutionUnit="centimeter"), "square pixels.* = 0.5, 1.11"),
        *(
            (slide(XResolution=dots, YResolution=dots, ResolutionUnit="inch"), f"TIFF resolution tags = {um}")
            for dots, um in [("72", "352.7"), ("96", "264.5"), ("300", "84.6")]
        ),
    ],
)
def test_a_slide_without_a_believable_resolution_is_refused(given_slide, why):
    with pytest.raises(SlideError, match=why):
        slide_mpp(given_slide)


def test_slides_tsv_says_it_where_the_file_does_not():
    assert slide_mpp(slide(), 0.25) == 0.25
    assert slide_mpp(slide("0"), 0.25) == 0.25
    assert slide_mpp(slide(XResolution="72", YResolution="72", ResolutionUnit="inch"), 0.25) == 0.25


def test_slides_tsv_and_the_file_must_agree():
    assert slide_mpp(slide("0.499"), 0.5) == 0.499
    with pytest.raises(SlideError, match=r"got mpp 0\.25 there and 0\.5 in the file; correct slides\.tsv, or leave"):
        slide_mpp(slide("0.5"), 0.25)
    with pytest.raises(SlideError, match=r"got mpp 0\.25 there and 0\.5 in the file"):
        slide_mpp(slide(**INCHES), 0.25)


@pytest.mark.parametrize("written", [0.0, -0.5, 0.049, 20.1, float("nan"), float("inf")])
def test_nonsense_in_slides_tsv_is_refused(written):
    for given_slide in (slide(), slide("0.5")):
        with pytest.raises(SlideError, match=rf"0\.05 to 20 um per pixel in slides.tsv, got {written:g}; correct it"):
            slide_mpp(given_slide, written)


@given(st.text(max_size=8), st.text(max_size=8), st.sampled_from(["inch", "centimeter", "none", "", "x"]))
def test_whatever_a_file_says_is_a_resolution_or_a_refusal(one, other, unit):
    for given_slide in (slide(one, other), slide(XResolution=one, YResolution=other, ResolutionUnit=unit)):
        refused = None
        try:
            assert FINEST <= slide_mpp(given_slide) <= COARSEST
        except SlideError as exc:
            refused = str(exc)
        assert refused is None or "; " in refused


@pytest.mark.parametrize(
    ("options", "mpp"),
    [
        ({"mpp": 0.5}, 0.5),
        ({"mpp": None, "resolution": (40_000, 40_000)}, 0.25),  # an Aperio file whose description lacks it
    ],
)
def test_written_slides(tmp_path, options, mpp):
    with open_slide(write_pyramid(tmp_path / "s.svs", PIXELS, **options)) as opened:
        assert slide_mpp(opened) == pytest.approx(mpp)


def test_a_written_slide_at_screen_resolution(tmp_path):
    path = write_single_level(tmp_path / "s.tif", PIXELS, resolution=(72, 72), unit="INCH")
    with open_slide(path) as opened:
        with pytest.raises(SlideError, match="openslide.mpp = 352"):
            slide_mpp(opened)
        assert slide_mpp(opened, 0.5) == 0.5


@real_slides
def test_real_slides():
    with open_slide(REAL / "CMU-1-Small-Region.svs") as opened:
        assert slide_mpp(opened) == 0.499
    with open_slide(REAL / "TCGA-CR-7395-01A-01-TS1.svs") as opened:
        with pytest.raises(SlideError, match="none in its properties or TIFF resolution tags; add a column mpp"):
            slide_mpp(opened)
        assert slide_mpp(opened, 0.5) == 0.5
