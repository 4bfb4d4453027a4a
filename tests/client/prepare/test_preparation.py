import csv
import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from client.prepare.encoders.table import ENCODERS, seeded
from client.prepare.preparation import prepare
from client.prepare.settings import PrepareSettings, store_folder
from client.prepare.slides import folder as slide_folder
from shared.cohort.store import FeatureStore
from shared.errors import BadInput, CohortError, EncoderError, WorkFailed
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
        ("P2", "slides/broken.svs", "expected a slide"),
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


@pytest.mark.parametrize("workers", [1, 3])
def test_the_bytes_do_not_depend_on_run_or_workers(site, workers):
    first = contents(prepare(site, SETTINGS).store)
    for name in ("store", "files.json"):
        path = site.state / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    os.utime(site.data / "blood.csv", (0, 0))
    file = site.data.parent / "site.toml"
    file.write_text(file.read_text() + f"workers = {workers}\n")
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
    assert store.manifest.encoders == {"slides": ""}


def test_two_settings_share_nothing_but_the_salt(site):
    prepare(site, SETTINGS)
    prepare(site, TABLES)
    one, two = (FeatureStore.open(store_folder(site, settings)) for settings in (SETTINGS, TABLES))
    assert one.patients["key"][0] == two.patients["key"][0]
    assert two.table("expression") is None
    assert two.manifest.encoders == {}


def test_progress_is_told(site):
    told = []
    prepare(site, SETTINGS, progress=lambda *step: told.append(step))
    assert list(dict.fromkeys(what for what, _, _ in told)) == ["checking files", "tables", "slides"]
    assert [step for step in told if step[0] == "tables"] == [("tables", done, 4) for done in (1, 2, 3, 4)]
    assert [step for step in told if step[0] == "slides"][-1] == ("slides", 3, 3)


def test_a_faulty_table_costs_its_modality_and_nothing_else(site):
    prepare(site, SETTINGS)
    (site.data / "blood.csv").write_text("case_id,analyte\nP1,ALP\n")
    report = prepare(site, SETTINGS)
    reasons = [row.reason for row in report.rows if row.file == "blood.csv" and row.state == "left out"]
    assert len(reasons) == 1
    assert "expected a column 'value', got none" in reasons[0]
    store = FeatureStore.open(report.store)
    assert (store.patients["absent_blood"] != "").all()
    assert (store.patients["absent_slides"] == "").sum() == 1
    (site.data / "blood.csv").write_text(FILES["blood.csv"])
    assert len(FeatureStore.open(prepare(site, SETTINGS).store).patients) == 3


def test_a_damaged_file_is_made_again(site):
    report = prepare(site, SETTINGS)
    whole = contents(report.store)
    for name in ("slides/a.h5", "expression.h5"):
        (report.store / name).write_bytes(b"rot")
    report = prepare(site, SETTINGS)
    assert [row.file for row in report.rows if row.reason.startswith("not as it was written")] == [
        "expression.h5",
        "slides/a.h5",
    ]
    assert contents(report.store) == whole
    (report.store / "manifest.json").write_text("{")
    assert contents(prepare(site, SETTINGS).store) == whole


def test_slides_alone_are_kept_for_the_whole(site):
    report = prepare(site, SETTINGS, only=("slides",))
    assert {path.name for path in (report.store / "slides").iterdir()} == {"a.h5", "b.h5"}
    with pytest.raises(CohortError, match="expected a finished feature store"):
        FeatureStore.open(report.store)
    with pytest.raises(BadInput, match=r"--only: expected some of slides, expression, blood, clinical, got imaging"):
        prepare(site, SETTINGS, only=("imaging",))
    times = {path: path.stat().st_mtime_ns for path in (report.store / "slides").iterdir()}
    FeatureStore.open(prepare(site, SETTINGS).store)
    assert {path: path.stat().st_mtime_ns for path in (report.store / "slides").iterdir()} == times


def test_a_full_disk_ends_with_a_sentence(site, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkFailed, match="expected room for the feature store in .*, got a full disk; free some space"):
        prepare(site, SETTINGS)
    assert not list(site.state.rglob(".*.tmp"))


def test_other_weights_than_the_studys_are_refused(site):
    settings = PrepareSettings(modalities=("slides",), slides=Slides(weights="random", encoder_sha256="0" * 64))
    with pytest.raises(EncoderError, match=r"with SHA-256 000000000000\.\.\., as the study says, got .*; install"):
        prepare(site, settings)


def test_a_site_without_any_usable_patient_is_refused(make_site):
    site = make_site({"clinical.tsv": "case_id\tage_at_diagnosis\nP1\t\n"})
    with pytest.raises(
        CohortError,
        match="expected at least one patient with a modality of the study, got none; see",
    ):
        prepare(site, TABLES)
    assert "P1" in (site.state / "prepare-report.csv").read_text()


def test_a_faulty_clinical_table_stands_in_the_report(make_site):
    site = make_site({"clinical.tsv": "case_id\tage_at_diagnosis\nP1\t60\nP1\t61\n"})
    with pytest.raises(CohortError, match="line 3: expected every case_id once"):
        prepare(site, TABLES)
    assert "line 3: expected every case_id once" in (site.state / "prepare-report.csv").read_text()


def test_tables_alone_leave_a_finished_store_finished(site):
    folder = prepare(site, SETTINGS).store
    (site.data / "blood.csv").write_text(FILES["blood.csv"].replace("120", "160"))
    prepare(site, SETTINGS, only=("blood",))
    assert FeatureStore.open(folder).table("blood").values.max() == 1
    prepare(site, SETTINGS)
    assert FeatureStore.open(folder).table("blood").values.max() == 2


def test_another_scaling_of_the_encoder_makes_the_slides_again(make_site, slide_file, tmp_path):
    save_file(seeded(ENCODERS["resnet18"]).state_dict(), tmp_path / "uni.safetensors")
    entry = '[encoders.uni]\npath = "uni.safetensors"\narchitecture = "resnet18"\n'
    slides = Slides(encoder="uni", dim=512, mpp=0.5, tile=64, max_patches=4)
    settings = PrepareSettings(modalities=("slides",), slides=slides)
    features = []
    for scaling in ("", "mean = [0.9, 0.9, 0.9]\n"):
        site = make_site({"clinical.tsv": "case_id\nP1\n", "slides.tsv": "case_id\tslide_id\nP1\ta\n"}, entry + scaling)
        shutil.copy(slide_file, site.data / "slides/a.svs")
        features.append(FeatureStore.open(prepare(site, settings).store).all_slides().popitem()[1])
    assert (features[0] != features[1]).any()


def test_a_damaged_store_is_not_finished_by_its_tables_alone(site):
    folder = prepare(site, SETTINGS).store
    (folder / "expression.h5").write_bytes(b"rot")
    prepare(site, SETTINGS, only=("blood",))
    with pytest.raises(CohortError, match="expected a finished feature store"):
        FeatureStore.open(folder)
    assert FeatureStore.faults(prepare(site, SETTINGS).store) == []
