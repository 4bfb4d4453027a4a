"""`prepare` as a process of its own: killed and started again, and two at once."""

import csv
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.store import FeatureStore
from shared.site import read_site
from shared.study import parse_study
from simulations.synthetic.aperio import write_aperio
from tests.federation import CONTENT

pytestmark = pytest.mark.slow

SLIDES = 20
KILLS = 5
STUDY = parse_study(
    {
        **CONTENT,
        "modalities": {"slides": {"weights": "random", "tile": 64, "max_patches": 32}, "clinical": {}},
    }
)


@pytest.fixture(scope="module")
def site_file(tmp_path_factory) -> Path:
    """Ten patients with two slides each: 512 px of tissue on the left half of each, all different."""
    folder = tmp_path_factory.mktemp("site") / "A"
    (folder / "data/slides").mkdir(parents=True)
    ids = [f"s{number:02d}" for number in range(SLIDES)]
    for number, slide_id in enumerate(ids):
        pixels = np.full((512, 512, 3), 245, dtype=np.uint8)
        noise = np.random.default_rng(number).integers(-20, 20, (512, 256, 1))
        pixels[:, :256] = (np.array([200, 120, 180]) + noise).astype(np.uint8)
        write_aperio(folder / f"data/slides/{slide_id}.svs", pixels, mpp=0.5, power=20, jpeg_quality=90)
    rows = [f"P{number // 2}\t{slide_id}" for number, slide_id in enumerate(ids)]
    (folder / "data/slides.tsv").write_text("\n".join(["case_id\tslide_id", *rows]) + "\n")
    cases = [f"P{number}\t{50 + number}\tfemale\tG2" for number in range(SLIDES // 2)]
    (folder / "data/clinical.tsv").write_text("\n".join(["case_id\tage_at_diagnosis\tsex\tgrade", *cases]) + "\n")
    (folder / "study.json").write_text(STUDY.canonical())
    (folder / "site.toml").write_text('schema = 1\n[site]\nid = "A"\n[compute]\nengine = "torch"\n')
    return folder / "site.toml"


def start(site_file: Path) -> subprocess.Popen[str]:
    """`mmfed-client --site A --config <file> prepare --study <study>`."""
    words = ["--site", "A", "--config", str(site_file), "prepare", "--study", str(site_file.with_name("study.json"))]
    code = "import sys; from client.cli import main; sys.argv[0] = 'mmfed-client'; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for its end; what it printed."""
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def result(site_file: Path) -> dict[str, object]:
    """Every byte that `prepare` left behind, the seconds of its reports aside."""
    site = read_site(site_file)
    store = store_folder(site, PrepareSettings.of(STUDY))
    found: dict[str, object] = {
        path.relative_to(store).as_posix(): path.read_bytes() for path in store.rglob("*") if path.is_file()
    }
    record = json.loads(store.with_suffix(".json").read_bytes())
    found["record"] = [{**row, "seconds": 0} for row in record["rows"]]
    with (site.state / "prepare-report.csv").open() as file:
        found["report"] = [{**row, "seconds": 0} for row in csv.DictReader(file)]
    return found


def forget(site_file: Path) -> None:
    """As before the first run, but for the salt that names the patients."""
    state = read_site(site_file).state
    shutil.rmtree(state / "store")
    (state / "files.json").unlink()


@pytest.fixture(scope="module")
def undisturbed(site_file) -> dict[str, object]:
    finish(start(site_file))
    store = store_folder(read_site(site_file), PrepareSettings.of(STUDY))
    assert FeatureStore.faults(store) == []
    assert len(list(store.glob("slides/*.h5"))) == len(list(store.glob("thumbnails/*.jpg"))) == SLIDES
    return result(site_file)


def bags(site_file: Path) -> set[Path]:
    return set(read_site(site_file).state.glob("store/*/slides/*.h5"))


def test_killed_five_times_it_ends_the_same(site_file, undisturbed):
    forget(site_file)
    moments = random.Random(0)
    for _ in range(KILLS):
        enough = len(bags(site_file)) + moments.choice([1, 2])
        process = start(site_file)
        while process.poll() is None and len(bags(site_file)) < enough:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.03))
        process.kill()
        output, _ = process.communicate()
        assert process.returncode == -signal.SIGKILL, output
        assert len(bags(site_file)) < SLIDES
    times = {path: path.stat().st_mtime_ns for path in bags(site_file)}
    finish(start(site_file))
    assert result(site_file) == undisturbed
    assert {path: path.stat().st_mtime_ns for path in times} == times  # none was made again


def test_two_at_once_make_one_store(site_file, undisturbed):
    forget(site_file)
    processes = [start(site_file), start(site_file)]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sorted("feature store reused" in output for output in outputs) == [False, True]
    assert result(site_file) == undisturbed
