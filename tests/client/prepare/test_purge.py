import json
import shutil

import pytest

from client.prepare.preparation import prepare
from client.prepare.purge import purge
from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.store import FeatureStore
from shared.cohort.tables import read_exclusions
from shared.errors import BadInput
from shared.study import Blood, Slides

SETTINGS = PrepareSettings(
    modalities=("slides", "blood", "clinical"),
    slides=Slides(mpp=0.5, tile=64, max_patches=4, weights="random"),
    blood=Blood(analytes=("6768-6",)),
    clinical=(("age_at_diagnosis", 50.0, 10.0),),
)
FILES = {
    "clinical.tsv": "case_id\tage_at_diagnosis\nCASE-ONE\t60\nCASE-TWO\t40\n",
    "blood.csv": "case_id,analyte,value,unit,ref_low,ref_high\nCASE-ONE,ALP,120,U/L,40,80\nCASE-TWO,ALP,50,U/L,40,80\n",
    "slides.tsv": "case_id\tslide_id\nCASE-ONE\tCASE-ONE-DX1\nCASE-TWO\tCASE-TWO-DX1\n",
}
HERS, OTHER = "CASE-ONE-DX1", "CASE-TWO-DX1"
WITHOUT_HER = {
    name: "".join(line for line in text.splitlines(True) if "CASE-ONE" not in line) for name, text in FILES.items()
}


@pytest.fixture
def site(make_site, slide_file):
    site = make_site(FILES)
    for name in (HERS, OTHER):
        shutil.copy(slide_file, site.data / "slides" / f"{name}.svs")
    return site


def forget(site, *names) -> None:
    """The hospital takes the patient out of its own tables."""
    for name in names or FILES:
        (site.data / name).write_text(WITHOUT_HER[name])


def key_of(report, case_id="CASE-ONE") -> str:
    return next(row.key for row in report.rows if row.case_id == case_id)


def traces(folder, *words) -> list[str]:
    """What in a folder has one of the words in its name or in its bytes."""
    found = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        content = path.read_bytes() if path.is_file() else b""
        found += [f"{word}: {name}" for word in words if word in name or word.encode() in content]
    return found


def plant(site, store) -> None:
    """What heatmaps, described blood, trainings and killed runs leave in a state folder."""
    files = [
        *(f"heatmaps/{slide}.{suffix}" for slide in (HERS, OTHER) for suffix in ("png", "geojson")),
        f"heatmaps/.{HERS}.png.4711.tmp",
        "blood_text/0123.json",
        "detector/work/images/train/000001.png",
        "rounds/0123456789ab/control-3.safetensors",
        ".prepare-report.csv.4711.tmp",
        ".files.json.4711.tmp",
        f"store/.{store.name}.json.4711.tmp",
        f"store/{store.name}/.patients.csv.4711.tmp",
        f"store/{store.name}/slides/.{HERS}.h5.4711.tmp",
        f"store/{store.name}/thumbnails/.{HERS}.jpg.4711.tmp",
    ]
    for name in files:
        (site.state / name).parent.mkdir(parents=True, exist_ok=True)
        (site.state / name).write_text("CASE-TWO" if OTHER in name else "CASE-ONE")


def test_nothing_of_the_patient_is_left_in_the_state_folder(site):
    report = prepare(site, SETTINGS)
    plant(site, report.store)
    words = ("CASE-ONE", key_of(report))
    assert len(traces(site.state, *words)) > 10
    assert purge(site, ("CASE-ONE",)) > 10
    assert traces(site.state, *words) == []
    assert not list(site.state.rglob("*.tmp"))
    assert not (site.state / "detector/work").exists()
    assert not (site.state / "rounds").exists()
    assert (site.data / f"slides/{HERS}.svs").is_file()
    assert read_exclusions(site.data) == {"CASE-ONE"}


def test_the_others_keep_all(site):
    report = prepare(site, SETTINGS)
    plant(site, report.store)
    names = json.loads((site.state / "files.json").read_text())
    purge(site, ("CASE-ONE",))
    store = FeatureStore.open(store_folder(site, SETTINGS))
    assert FeatureStore.faults(store.folder) == []
    assert store.patients["case_id"].tolist() == ["CASE-TWO"]
    assert store.manifest.slides == {key_of(report, "CASE-TWO"): [OTHER]}
    assert [path.name for path in (store.folder / "slides").iterdir()] == [f"{OTHER}.h5"]
    assert [path.name for path in (store.folder / "thumbnails").iterdir()] == [f"{OTHER}.jpg"]
    assert len(store.table("blood").keys) == 1
    assert {path.name for path in (site.state / "heatmaps").iterdir()} == {f"{OTHER}.png", f"{OTHER}.geojson"}
    del names[f"slides/{HERS}.svs"]
    assert json.loads((site.state / "files.json").read_text()) == names
    assert "CASE-TWO" in (site.state / "prepare-report.csv").read_text()


def test_the_next_prepare_does_not_bring_the_patient_back(site):
    prepare(site, SETTINGS)
    purge(site, ("CASE-ONE",))
    store = FeatureStore.open(prepare(site, SETTINGS).store)
    assert store.patients["case_id"].tolist() == ["CASE-TWO"]
    assert set(store.manifest.slides) == set(store.patients["key"])


def test_a_patient_whom_the_hospital_took_out_of_its_tables_is_purged(site):
    report = prepare(site, SETTINGS)
    forget(site)
    purge(site, ("CASE-ONE",))
    assert traces(site.state, "CASE-ONE", key_of(report)) == []
    assert read_exclusions(site.data) == {"CASE-ONE"}
    assert FeatureStore.faults(report.store) == []


@pytest.mark.parametrize("left", ["patients.csv", "record", "prepare-report.csv"])
def test_any_one_trace_of_the_patient_is_enough(site, left):
    store = prepare(site, SETTINGS).store
    places = {
        "patients.csv": store / "patients.csv",
        "record": store.with_suffix(".json"),
        "prepare-report.csv": site.state / "prepare-report.csv",
    }
    for name, path in places.items():
        if name != left:
            path.unlink()
    forget(site)
    purge(site, ("CASE-ONE",))
    assert traces(site.state, "CASE-ONE") == []


def test_a_report_that_calls_a_forgotten_slide_nobodys_keeps_no_name(site):
    prepare(site, SETTINGS)
    forget(site, "slides.tsv")
    prepare(site, SETTINGS)
    assert f"slides/{HERS}.svs" in (site.state / "prepare-report.csv").read_text()
    purge(site, ("CASE-ONE",))
    assert traces(site.state, "CASE-ONE") == []


@pytest.mark.parametrize("listed", [True, False])
def test_a_store_that_was_never_finished_loses_the_patient_too(site, listed):
    folder = prepare(site, SETTINGS).store
    for path in (folder / "manifest.json", folder.with_suffix(".json"), site.state / "prepare-report.csv"):
        path.unlink()
    if not listed:
        forget(site, "slides.tsv")
    purge(site, ("CASE-ONE",))
    assert not (folder / f"slides/{HERS}.h5").exists()
    assert not (folder / f"thumbnails/{HERS}.jpg").exists()
    assert (folder / f"slides/{OTHER}.h5").exists()
    assert (folder / f"thumbnails/{OTHER}.jpg").exists()


def test_a_damaged_store_does_not_stop_the_purge(site):
    report = prepare(site, SETTINGS)
    damaged = site.state / "store/0123456789ab"
    shutil.copytree(report.store, damaged)
    (damaged / "manifest.json").write_text('{"schema": 1, "slides": {"CASE-ONE"')
    (damaged / "blood.h5").write_bytes(b"CASE-ONE")
    (damaged / "patients.csv").write_bytes(b'key,case_id\n"CASE-ONE')
    damaged.with_suffix(".json").write_text('{"rows": [{"case_id": "CASE-ONE"')
    (site.state / "prepare-report.csv").write_text("key,state\nx,CASE-ONE\n")
    (site.state / "files.json").write_text('{"slides/CASE-ONE')
    purge(site, ("CASE-ONE",))
    assert traces(site.state, "CASE-ONE", key_of(report)) == []
    assert not (damaged / "manifest.json").exists()
    assert FeatureStore.open(report.store).patients["case_id"].tolist() == ["CASE-TWO"]


def test_a_store_whose_table_was_damaged_is_not_declared_finished(site):
    folder = prepare(site, SETTINGS).store
    (folder / "blood.h5").write_bytes(b"half")
    purge(site, ("CASE-ONE",))
    assert FeatureStore.faults(folder) == ["manifest.json"]
    assert not (folder / "blood.h5").exists()
    assert (folder / f"slides/{OTHER}.h5").exists()


def test_an_unknown_patient_is_refused_and_nothing_is_deleted(site):
    folder = prepare(site, SETTINGS).store
    plant(site, folder)
    before = {path: path.read_bytes() for path in site.state.rglob("*") if path.is_file()}
    with pytest.raises(BadInput, match="expected patients of clinical.tsv, got 1 of 2"):
        purge(site, ("CASE-ONE", "CASE-NINE"))
    assert {path: path.read_bytes() for path in before} == before
    assert not (site.data / "exclude.csv").exists()
    assert FeatureStore.faults(folder) == []
