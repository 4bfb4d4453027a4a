import errno
import os
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
from PIL import Image, ImageFilter

from client.prepare.encoders import Encoder
from client.prepare.encoders.plan import Plan
from client.prepare.fingerprint import FileHashes
from client.prepare.patients import read_roster
from client.prepare.report import PrepareReport
from client.prepare.slides import finished, outside
from client.prepare.slides.folder import prepare_slides
from shared.cohort import hdf5_draft
from shared.cohort.bag_files import read_bag_attributes
from shared.study import Slides
from tests.slide_files import tissue_pixels, write_dicom_wsi, write_pyramid

SETTINGS = Slides(mpp=0.5, tile=64, max_patches=4)
FILES = {
    "clinical.tsv": "case_id\tage_at_diagnosis\nP1\t60\nP2\t40\nP3\t50\n",
    "slides.tsv": "case_id\tslide_id\nP1\tb\nP1\ta\nP2\tbroken\nP3\tgone\nP9\tc\n",
}
FEATURES = '[features]\nencoder = "mobilenet_v2"\nencoder_sha256 = "' + "a" * 64 + '"\n'


def colours(tiles):
    """What an encoder of three numbers might give: the mean colour."""
    return tiles.mean(axis=(1, 2), dtype=np.float32)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder("colours", 3, sha256="5" * 64, recipe_sha256="4" * 64, plan=Plan(workers=2), forward=colours)


@pytest.fixture
def site(make_site, slide_file):
    """P1 has two slides, P2 a broken one, P3 one that is not there; c belongs to nobody known."""
    site = make_site(FILES)
    for name in ("a.svs", "b.svs", "c.svs"):
        shutil.copy(slide_file, site.data / "slides" / name)
    (site.data / "slides/broken.svs").write_text("no slide")
    return site


def run(site, encoder, settings=SETTINGS, store="one", progress=lambda *_: None):
    """Prepare the slides; (bags, report)."""
    report = PrepareReport(site.state / "store" / store)
    folder = report.store / "slides"
    bags = prepare_slides(site, settings, encoder, read_roster(site), folder, FileHashes(site), report, progress)
    return bags, report


def stored(site, store="one"):
    """Slide id -> the identity of its file on the disk: another one when it was written again."""
    return {path.stem: path.stat().st_ino for path in (site.state / "store" / store / "slides").iterdir()}


def mean_colour(site, slide_id, store="one"):
    with h5py.File(site.state / "store" / store / "slides" / f"{slide_id}.h5") as file:
        return file["features"][:].mean(axis=0)


def test_slides_of_a_patient_stand_in_order_and_every_input_is_accounted_for(site, encoder):
    (site.data / "slides/scan.czi").write_text("listed nowhere")
    (site.data / "slides/.DS_Store").write_text("an operating system's own")
    bags, report = run(site, encoder)
    key = read_roster(site).keys["P1"]
    assert bags.slides == {key: ["a", "b"]}
    assert bags.patches == {"a": 4, "b": 4}
    rows = {row.file: (row.case_id, row.state, row.reason.split(",")[0]) for row in report.rows}
    assert rows == {
        "slides/a.svs": ("P1", "used", "4 patches"),
        "slides/b.svs": ("P1", "used", "4 patches"),
        "slides/broken.svs": ("P2", "left out", "expected a slide"),
        "slides/gone": ("P3", "left out", "listed in slides.tsv"),
        "slides/c.svs": ("P9", "left out", "not in clinical.tsv"),
        "slides/scan.czi": ("", "left out", "not listed in slides.tsv"),
    }
    assert len(report.rows) == len(rows)


def test_excluded_patients_have_neither_work_nor_rows(site, encoder):
    (site.data / "exclude.csv").write_text("case_id,date,reason\nP1,2025-01-01,withdrew\n")
    bags, report = run(site, encoder)
    assert bags.slides == {}
    assert not {"slides/a.svs", "slides/b.svs"} & {row.file for row in report.rows}


def test_progress_counts_slides(site, encoder):
    told = []
    run(site, encoder, progress=lambda *step: told.append(step))
    assert told == [("slides", done, 3) for done in (1, 2, 3)]


def test_a_warning_stands_beside_the_patches(site, encoder):
    grain = np.random.default_rng(0).choice([-60, 0, 50], (32, 32))
    pixels = (np.array([200, 120, 180]) + np.kron(grain, np.ones((8, 8), int))[..., None]).astype(np.uint8)
    soft = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(4))
    write_pyramid(site.data / "slides/a.svs", np.asarray(soft))
    _, report = run(site, encoder)
    (row,) = [row for row in report.rows if row.file == "slides/a.svs"]
    assert (row.state, row.reason) == ("used", "4 patches; every tile is blurred, so all were kept")


def test_finished_slides_are_kept(site, encoder):
    run(site, encoder)
    before = stored(site)
    _, report = run(site, encoder)
    assert stored(site) == before
    assert all(row.seconds == 0 for row in report.rows if row.state == "used")


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ({"max_patches": 3}, {}),
        ({"quality": False}, {}),
        ({"stain": "reinhard"}, {}),
        ({"mpp": 1.0}, {}),
        ({"tile": 32}, {}),
        ({}, {"sha256": "6" * 64}),
        ({}, {"recipe_sha256": "6" * 64}),
        ({}, {"plan": Plan(engine="openvino")}),
        ({}, {"plan": Plan(precision="bf16")}),
    ],
)
def test_other_settings_or_weights_or_ways_to_compute_are_other_features(site, encoder, change, other):
    run(site, encoder)
    before = stored(site)
    run(site, replace(encoder, **other), SETTINGS.model_copy(update=change))
    after = stored(site)
    assert before["a"] != after["a"]
    assert before["b"] != after["b"]


def test_software_that_makes_other_features_makes_all_slides_again(make_site, site, encoder, monkeypatch):
    run(site, encoder)
    before = stored(site)
    monkeypatch.setattr(finished, "RECIPE", finished.RECIPE + 1)
    run(site, encoder)
    assert stored(site)["a"] != before["a"]
    elsewhere = make_site({**FILES, "slides.tsv": "case_id\tslide_id\nP1\tx\n"}, FEATURES)
    write_features(elsewhere.data / "features/slides/x.h5", 2.0)
    run(elsewhere, None, store="two")
    before = stored(elsewhere, "two")
    monkeypatch.setattr(outside, "RECIPE", finished.RECIPE + 1)
    run(elsewhere, None, store="two")
    assert stored(elsewhere, "two") != before


def test_a_changed_slide_is_encoded_again(site, encoder):
    run(site, encoder)
    before = stored(site)
    with (site.data / "slides/a.svs").open("ab") as file:
        file.write(b"\0")
    run(site, encoder)
    assert [name for name, inode in stored(site).items() if before[name] != inode] == ["a"]


def test_a_slide_file_that_rotted_is_made_again(site, encoder):
    run(site, encoder)
    path = site.state / "store/one/slides/a.h5"
    whole = path.read_bytes()
    with h5py.File(path) as file:
        at = file["features"].id.get_chunk_info(0).byte_offset
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    run(site, encoder)
    assert path.read_bytes() == whole


def test_another_store_of_the_site_lends_its_slides(site, encoder):
    run(site, encoder, store="one")
    _, report = run(site, encoder, store="two")
    assert stored(site, "two") == stored(site, "one")
    pictures = [site.state / "store" / store / "thumbnails/a.jpg" for store in ("one", "two")]
    assert pictures[0].samefile(pictures[1])
    assert {row.seconds for row in report.rows if row.state == "used"} == {0.0}


def test_where_nothing_can_be_linked_it_is_copied(site, encoder, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    run(site, encoder, store="one")
    monkeypatch.setattr(finished.os, "link", refuse)
    run(site, encoder, store="two")
    one, two = (site.state / "store" / store / "slides/a.h5" for store in ("one", "two"))
    assert not one.samefile(two)
    assert one.read_bytes() == two.read_bytes()


def test_a_rotten_slide_file_of_another_store_is_not_taken(site, encoder):
    run(site, encoder, store="one")
    path = site.state / "store/one/slides/a.h5"
    with h5py.File(path) as file:
        at = file["features"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    run(site, encoder, store="two")
    assert stored(site, "two")["a"] != stored(site, "one")["a"]
    assert stored(site, "two")["b"] == stored(site, "one")["b"]


def test_a_missing_picture_is_drawn_again(site, encoder):
    run(site, encoder)
    before, picture = stored(site), site.state / "store/one/thumbnails/a.jpg"
    content = picture.read_bytes()
    picture.unlink()
    run(site, encoder)
    assert picture.read_bytes() == content
    assert stored(site) == before


def test_resolution_comes_from_the_table_where_the_slide_has_none(site, encoder):
    write_pyramid(site.data / "slides/a.svs", tissue_pixels(512, 512), mpp=None)
    _, report = run(site, encoder)
    assert "add a column mpp to slides.tsv" in next(row.reason for row in report.rows if row.file == "slides/a.svs")
    b = stored(site)["b"]
    (site.data / "slides.tsv").write_text("case_id\tslide_id\tmpp\nP1\ta\t0.25\nP1\tb\t0.25\n")
    run(site, encoder)
    assert read_bag_attributes(site.state / "store/one/slides/a.h5")["slide_mpp"] == 0.25
    assert stored(site)["b"] == b  # it states .5 itself
    a = stored(site)["a"]
    (site.data / "slides.tsv").write_text("case_id\tslide_id\tmpp\nP1\ta\t0.5\nP1\tb\t\n")
    run(site, encoder)
    assert read_bag_attributes(site.state / "store/one/slides/a.h5")["slide_mpp"] == 0.5
    assert stored(site)["a"] != a
    assert stored(site)["b"] == b


def test_a_dicom_series_is_one_slide_with_all_its_files(make_site, encoder):
    site = make_site({**FILES, "slides.tsv": "case_id\tslide_id\nP1\td\n"})
    write_dicom_wsi(site.data / "slides/d", tissue_pixels(512, 512))
    settings = SETTINGS.model_copy(update={"quality": False})
    bags, report = run(site, encoder, settings)
    assert bags.patches == {"d": 4}
    assert [(row.file, row.state) for row in report.rows] == [("slides/d", "used")]
    before = stored(site)
    os.utime(site.data / "slides/d/level1.dcm")
    run(site, encoder, settings)
    assert stored(site) == before
    with (site.data / "slides/d/level1.dcm").open("ab") as file:
        file.write(b"\0\0")
    run(site, encoder, settings)
    assert stored(site) != before


def write_features(path, value, rows=6):
    """As CLAM writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["features"] = np.full((rows, 1280), value, dtype=np.float32)
        file["coords"] = np.arange(2 * rows).reshape(rows, 2) * 64


def test_features_made_elsewhere_need_no_slide(make_site, slide_file):
    site = make_site({**FILES, "slides.tsv": "case_id\tslide_id\nP1\tx\nP1\tbad\nP2\ta\n"}, FEATURES)
    shutil.copy(slide_file, site.data / "slides/a.svs")
    write_features(site.data / "features/slides/x.h5", 2.0)
    write_features(site.data / "features/slides/stray.h5", 2.0)
    write_features(site.data / "features/slides/bad.h5", float("nan"))
    bags, report = run(site, None)
    assert bags.patches == {"x": 4}
    assert (mean_colour(site, "x") == 2).all()
    rows = {row.file: (row.state, row.reason.split(",")[0]) for row in report.rows}
    assert rows == {
        "features/slides/x.h5": ("used", "4 patches"),
        "features/slides/bad.h5": ("left out", "expected finite features"),
        "slides/a.svs": ("left out", "expected a file of this slide's features"),
        "features/slides/stray.h5": ("left out", "not listed in slides.tsv"),
    }
    before = stored(site)
    run(site, None)
    assert stored(site) == before
    write_features(site.data / "features/slides/x.h5", 3.0)
    run(site, None)
    assert (mean_colour(site, "x") == 3).all()


def test_a_full_disk_ends_the_work_and_keeps_what_is_finished(site, encoder, monkeypatch):
    (site.data / "slides.tsv").write_text("case_id\tslide_id\nP1\ta\n")
    run(site, encoder)
    before = stored(site)
    (site.data / "slides.tsv").write_text(FILES["slides.tsv"])

    def full(self, data):
        self.fault = OSError(errno.ENOSPC, "No space left on device")
        return memoryview(data).nbytes

    monkeypatch.setattr(hdf5_draft.DraftFile, "write", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        run(site, encoder)
    assert caught.value.errno == errno.ENOSPC
    assert stored(site) == before  # neither a draft nor half a slide
    monkeypatch.undo()
    assert run(site, encoder)[0].patches == {"a": 4, "b": 4}


def test_bf16_is_held_against_fp32_on_the_first_usable_slide(site, encoder):
    seen = []
    exact = replace(encoder, forward=lambda tiles: (seen.append(tiles), colours(tiles))[1])
    half = replace(encoder, plan=Plan(precision="bf16"), in_fp32=lambda: exact)
    run(site, half)
    attributes = read_bag_attributes(site.state / "store/one/slides/b.h5")
    assert attributes["precision"] == "bf16"
    assert attributes["bf16_min_cosine"] == pytest.approx(1)
    assert len(seen) == 1
    before = stored(site)
    run(site, half)
    assert stored(site) == before
    np.testing.assert_array_equal(seen[0], seen[1])


def test_where_bf16_is_too_far_off_fp32_is_used_and_the_report_says_so(site, encoder):
    half = replace(encoder, plan=Plan(precision="bf16"), forward=lambda tiles: -colours(tiles), in_fp32=lambda: encoder)
    _, report = run(site, half)
    assert read_bag_attributes(site.state / "store/one/slides/a.h5")["precision"] == "fp32"
    assert (mean_colour(site, "a") > 0).all()
    (note,) = [row for row in report.rows if row.state == "noted"]
    assert note.reason.endswith("fp32 is used")
