"""The ServerApp: a study comes with its digest, a folder goes out, and no patient is in any of it."""

import base64
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from server.app import read_run_study
from shared.cohort.store import FeatureStore
from shared.errors import StudyError
from shared.site import read_site
from shared.study import Study
from simulations.synthetic.aperio import write_aperio
from tests.federation import Run, WatchedGrid, run, tiny_study, write_site

STUDY = tiny_study()


def encoded(study: Study) -> str:
    return base64.b64encode(study.canonical().encode()).decode()


def test_the_study_of_a_run() -> None:
    assert read_run_study(encoded(STUDY), STUDY.digest) == STUDY


@pytest.mark.parametrize("text", ["", "no base64", base64.b64encode(b"{").decode()])
def test_a_run_without_a_study_is_refused(text: str) -> None:
    with pytest.raises(StudyError, match="expected a study in the run config, got none; start runs with"):
        read_run_study(text, STUDY.digest)


def test_a_study_under_another_digest_is_refused() -> None:
    with pytest.raises(StudyError, match=f"expected digest {STUDY.digest}, got 'x'; submit the study again"):
        read_run_study(encoded(STUDY), "x")


def test_a_faulty_study_names_its_faults() -> None:
    content = json.dumps({**STUDY.content(), "seed": "x"})
    with pytest.raises(StudyError, match="the run's study: 1 fault\n  seed: expected a valid integer"):
        read_run_study(base64.b64encode(content.encode()).decode(), "")


def test_the_folder_of_runs_comes_from_the_environment(
    sites: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMFED_RUNS", str(tmp_path / "environment"))
    done = run(STUDY, sites, tmp_path / "environment", named=False)
    assert (done.folder / "model.safetensors").is_file()


@pytest.fixture(scope="module")
def slide_sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A and B with four slides each, which may tell of any single patient."""
    folder = tmp_path_factory.mktemp("SECRETFOLDER")
    noise = np.random.default_rng(0).integers(-20, 20, (128, 128, 1))
    pixels = (np.array([200, 120, 180]) + noise).astype(np.uint8)
    files = {}
    for name, classes in (("A", (8, 8, 8)), ("B", (10, 10, 10))):
        file = write_site(folder / name, classes, sections="[disclosure]\nmin_patients = 1\n")
        slides = file.parent / "data" / "slides"
        slides.mkdir()
        rows = [f"PATIENT-{name}-{i:03d}\tSLIDE-{name}-{i}" for i in (0, 5, 9, 14, 20)]
        (slides.parent / "slides.tsv").write_text("\n".join(["case_id\tslide_id", *rows]) + "\n")
        for i in (0, 5, 9, 14):  # that of patient 20 is missing
            write_aperio(slides / f"SLIDE-{name}-{i}.svs", pixels, mpp=0.5, power=20, jpeg_quality=90)
        files[name] = file
    return files


@pytest.fixture(scope="module")
def slide_run(slide_sites: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole run with slides, expression and clinical data, and everything written to the terminal meanwhile."""
    study = tiny_study(
        modalities={
            **STUDY.content()["modalities"],
            "slides": {"weights": "random", "tile": 64, "max_patches": 2, "dim": 1280},
        },
        model={"architecture": "s1_crossattn", "dim": 8, "heads": 2},
        training={"rounds": 2},
    )
    return run(study, slide_sites, tmp_path_factory.mktemp("runs"))


def secrets(sites: dict[str, Path]) -> list[str]:
    """What would tell of a patient or of a hospital's files: ids, slides, keys, folders."""
    found = ["PATIENT-", "SLIDE-", "SECRETFOLDER"]
    for file in sites.values():
        (store,) = (read_site(file).state / "store").glob("*/manifest.json")
        opened = FeatureStore.open(store.parent)
        found += [*opened.patients["key"], *opened.patients["case_id"]]
        assert len(opened.manifest.slides) == 4
    assert len(found) == 3 + 2 * (24 + 30)
    return found


def occurring(words: list[str], content: bytes) -> list[str]:
    return [word for word in words if word.encode() in content]


@pytest.mark.slow
def test_no_patient_is_in_any_message(slide_sites: dict[str, Path], slide_run: Run) -> None:
    grid = slide_run.grid
    assert isinstance(grid, WatchedGrid)
    assert len(grid.contents) == 2 * 2 * (2 + 2)  # there and back, two sites, two rounds and two waves
    assert sum(b"branches.slides." in content for content in grid.contents) == 2 * (
        2 + 2 + 1
    )  # not in handshakes, nor in evaluations
    words = secrets(slide_sites)
    assert [occurring(words, content) for content in grid.contents] == [[]] * len(grid.contents)


@pytest.mark.slow
def test_no_patient_is_in_any_log_record(slide_sites: dict[str, Path], slide_run: Run) -> None:
    logs = slide_run.logs
    assert [log["event"] for log in logs] == ["run starts", "round", "round", "run finished"]
    assert occurring(secrets(slide_sites), repr(logs).encode()) == []


@pytest.mark.slow
def test_no_patient_is_in_the_run_folder(slide_sites: dict[str, Path], slide_run: Run) -> None:
    folder = slide_run.folder
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {
        *("metrics.json", "events.jsonl", "study.json", "study.toml", "manifest.json"),
        *("model.safetensors", "gene_stats.safetensors", "latest.safetensors", "model-card.md"),
    }
    words = secrets(slide_sites)
    assert {
        path.name: occurring(words, path.read_bytes()) for path in files if occurring(words, path.read_bytes())
    } == {}


@pytest.mark.slow
def test_the_search_would_find_a_patient(slide_sites: dict[str, Path]) -> None:
    words = secrets(slide_sites)
    store = next((read_site(slide_sites["A"]).state / "store").glob("*/patients.csv"))
    assert len(occurring(words, store.read_bytes())) == 1 + 2 * 24


def test_no_patient_is_in_the_log_when_everything_fails(
    sites: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A site's own log may say what went wrong; the coordinator's messages may not."""

    def broken(*_: object) -> None:
        raise KeyError("PATIENT-A-003")

    monkeypatch.setattr("client.work.greet", broken)
    grids: list[WatchedGrid] = []

    class Kept(WatchedGrid):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)
            grids.append(self)

    with pytest.raises(Exception, match=r"expected 2 sites to take part, got 0 \(A: CLIENT_FAILED; ") as caught:
        run(STUDY, sites, tmp_path, Kept)
    sys.stdout.flush()
    assert not re.search("PATIENT-", str(caught.value))
    assert not any(b"PATIENT-" in content for content in grids[0].contents)
    assert "PATIENT-" not in capfd.readouterr().out
