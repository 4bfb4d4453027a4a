import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from client.prepare import PrepareSettings, prepare, store_folder
from client.prepare.slides import folder as slide_folder
from shared.cohort.store import FeatureStore
from shared.errors import CohortError, EncoderError
from shared.site import Site, read_site
from shared.study import Blood, Slides

SETTINGS = PrepareSettings(
    modalities=("slides", "expression", "blood", "clinical"),
    slides=Slides(mpp=0.5, tile=64, max_patches=4, weights="random"),
    genes=("EGFR", "TP53"),
    aux=("mutations:IDH1",),
    blood=Blood(analytes=("6768-6",)),
    clinical=(("age_at_diagnosis", 50.0, 10.0),),
)
TABLES = PrepareSettings(modalities=("clinical",), clinical=(("age_at_diagnosis", 50.0, 10.0),))
FILES = {
    "clinical.tsv": "case_id\tage_at_diagnosis\tsite\nP4\t\t06\nP1\t60\t06\nP3\t\t06\nP2\t40\t06\n",
    "expression.tsv": "gene_symbol\tP1\tP3\nTP53\t1\t2\nEGFR\t3\t4\n",
    "mutations.tsv": "case_id\tIDH1\nP1\t1\n",
    "blood.csv": "case_id,analyte,value,unit,ref_low,ref_high\nP3,ALP,120,U/L,40,80\n",
    "slides.tsv": "case_id\tslide_id\nP1\tb\nP1\ta\nP2\tbroken\nP3\tgone\nP9\tc\n",
}


@pytest.fixture
def site(make_site, slide_file) -> Site:
    """Four patients: P1 has all but blood, P2 a broken slide, P3 no slide, P4 nothing."""
    site = make_site(FILES, '[expression]\nscale = "z"\n')
    for name in ("a.svs", "b.svs", "c.svs", "nobody.svs"):
        shutil.copy(slide_file, site.data / "slides" / name)
    (site.data / "slides/broken.svs").write_text("no slide")
    return site


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_modality_arrives_in_the_store(site):
    report = prepare(site, SETTINGS)
    store = FeatureStore.open(store_folder(site, SETTINGS))
    assert store.folder == site.state / "store" / SETTINGS.digest[:12] == report.store
    assert store.patients["case_id"].tolist() == ["P1", "P2", "P3"]
    assert store.patients["site"].tolist() == ["06", "06", "06"]
    absent = store.patients.filter(like="absent_").ne("").to_numpy().tolist()
    assert absent == [[False, False, True, False], [True, True, True, False], [True, False, False, True]]
    one = store.patients["key"][0]
    assert store.manifest.slides == {one: ["a", "b"]}
    assert store.all_slides()[one].shape == (8, 1280)
    np.testing.assert_array_equal(store.table("expression").values, [[3, 1], [0, 0], [4, 2]])
    np.testing.assert_array_equal(store.table("aux").values, [[1], [0], [0]])
    np.testing.assert_array_equal(store.table("blood").values, [[0], [0], [1]])
    np.testing.assert_array_equal(store.table("clinical").values, [[1], [-1], [0]])
    assert store.table("clinical").keys == tuple(store.patients["key"])
    assert store.manifest.site == "A"
    assert store.manifest.settings == SETTINGS.content()
    assert store.manifest.files["slides/a.h5"].rows == 4


def test_every_input_is_accounted_for(site):
    report = prepare(site, SETTINGS)
    left_out = {(row.case_id, row.file, row.reason.split(",")[0]) for row in report.rows if row.state == "left out"}
    assert left_out == {
        ("P2", "slides/broken.svs", "expected a slide that OpenSlide reads"),
        ("P3", "slides/gone", "listed in slides.tsv"),
        ("P9", "slides/c.svs", "not in clinical.tsv"),
        ("", "slides/nobody.svs", "not listed in slides.tsv"),
        ("P4", "clinical.tsv", "no modality of the study"),
    }
    assert report.left_out == 5
    with (site.state / "prepare-report.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["key", "case_id", "file", "state", "reason", "seconds"]
    assert len(rows) == len(report.rows)
    assert not any(case in line for line in report.lines() for case in ("P1", "P2", "P3", "P4", "P9", "broken"))


def test_a_second_run_reuses_the_store(site, monkeypatch):
    first = prepare(site, SETTINGS)
    before = contents(first.store)
    monkeypatch.delattr(slide_folder, "encode_slide")
    second = prepare(site, SETTINGS)
    assert second.reused
    assert not first.reused
    assert second.rows == first.rows
    assert contents(second.store) == before


def test_a_changed_table_makes_a_new_store_and_keeps_the_slides(site, monkeypatch):
    prepare(site, SETTINGS)
    (site.data / "blood.csv").write_text(FILES["blood.csv"].replace("120", "160"))
    monkeypatch.setattr(slide_folder, "encode_slide", lambda source, *_: pytest.fail(str(source)))
    (site.data / "slides/broken.svs").unlink()  # failed before, so it would be tried again
    report = prepare(site, SETTINGS)
    assert not report.reused
    assert FeatureStore.open(report.store).table("blood").values.max() == 2


def test_a_changed_slide_is_encoded_again(site, slide_file):
    prepare(site, SETTINGS)
    times = {name: (store_folder(site, SETTINGS) / "slides" / name).stat().st_mtime_ns for name in ("a.h5", "b.h5")}
    with (site.data / "slides/a.svs").open("ab") as file:
        file.write(b"\0")
    report = prepare(site, SETTINGS)
    assert (report.store / "slides/a.h5").stat().st_mtime_ns > times["a.h5"]
    assert (report.store / "slides/b.h5").stat().st_mtime_ns == times["b.h5"]


def test_a_killed_run_goes_on_and_ends_the_same(site, monkeypatch):
    undisturbed = contents(prepare(site, SETTINGS).store)
    shutil.rmtree(site.state / "store")
    encode, calls = slide_folder.encode_slide, []

    def killed(source, *rest):
        calls.append(source.name)
        if source.name == "b.svs":
            raise KeyboardInterrupt
        return encode(source, *rest)

    monkeypatch.setattr(slide_folder, "encode_slide", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare(site, SETTINGS)
    folder = store_folder(site, SETTINGS)
    with pytest.raises(CohortError, match="expected a finished feature store"):
        FeatureStore.open(folder)
    assert {path.name for path in (folder / "slides").iterdir()} == {"a.h5"}
    (folder / ".patients.csv.999999999.tmp").write_text("what a killed process leaves behind")
    monkeypatch.setattr(slide_folder, "encode_slide", lambda *a: (calls.append(a[0].name), encode(*a))[1])
    calls.clear()
    prepare(site, SETTINGS)
    assert sorted(calls) == ["b.svs", "broken.svs"]
    assert contents(folder) == undisturbed


@pytest.mark.parametrize("workers", [1, 3])
def test_the_bytes_do_not_depend_on_run_or_workers(site, workers):
    first = contents(prepare(site, SETTINGS).store)
    for name in ("store", "files.json"):
        path = site.state / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    os.utime(site.data / "blood.csv", (0, 0))
    file = site.data.parent / "site.toml"
    file.write_text(file.read_text() + f"[compute]\nworkers = {workers}\n")
    assert contents(prepare(read_site(file), SETTINGS).store) == first


def test_a_changed_mapping_makes_a_new_store(make_site):
    prepare(make_site(FILES), TABLES)
    report = prepare(make_site(FILES, '[columns]\nage_at_diagnosis = "age_at_diagnosis * 2"\n'), TABLES)
    assert not report.reused
    values = FeatureStore.open(report.store).table("clinical").values
    np.testing.assert_array_equal(values, [[7], [3]])


def test_excluded_patients_leave_the_store(site):
    prepare(site, SETTINGS)
    (site.data / "exclude.csv").write_text("case_id,date,reason\nP1,2025-01-01,withdrew\n")
    store = FeatureStore.open(prepare(site, SETTINGS).store)
    assert store.patients["case_id"].tolist() == ["P2", "P3"]
    assert store.manifest.slides == {}
    assert store.encoder_sha256 == ""


def test_two_settings_share_nothing_but_the_salt(site):
    prepare(site, SETTINGS)
    prepare(site, TABLES)
    one, two = (FeatureStore.open(store_folder(site, settings)) for settings in (SETTINGS, TABLES))
    assert one.patients["key"][0] == two.patients["key"][0]
    assert two.table("expression") is None
    assert two.encoder_sha256 == ""


def test_progress_is_told(site):
    told = []
    prepare(site, SETTINGS, progress=lambda *step: told.append(step))
    assert told[:4] == [("tables", done, 4) for done in (1, 2, 3, 4)]
    assert told[4:] == [("slides", done, 3) for done in (1, 2, 3)]


def test_a_faulty_table_loses_nothing_that_was_done(site):
    prepare(site, SETTINGS)
    (site.data / "blood.csv").write_text("case_id,analyte\nP1,ALP\n")
    with pytest.raises(CohortError, match="expected a column 'value', got none"):
        prepare(site, SETTINGS)
    assert (store_folder(site, SETTINGS) / "slides/a.h5").is_file()
    (site.data / "blood.csv").write_text(FILES["blood.csv"])
    assert len(FeatureStore.open(prepare(site, SETTINGS).store).patients) == 3


def test_other_weights_than_the_studys_are_refused(site):
    settings = PrepareSettings(modalities=("slides",), slides=Slides(weights="random", encoder_sha256="0" * 64))
    with pytest.raises(EncoderError, match=r"with SHA-256 000000000000\.\.\., as the study says, got .*; install"):
        prepare(site, settings)


def test_a_site_without_any_usable_patient_is_refused(make_site):
    site = make_site({"clinical.tsv": "case_id\tage_at_diagnosis\nP1\t\n"})
    with pytest.raises(
        CohortError, match="expected at least one patient with a modality of the study, got none; run `check`"
    ):
        prepare(site, TABLES)
    assert "P1" in (site.state / "prepare-report.csv").read_text()
