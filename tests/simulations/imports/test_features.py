"""Feature folders of CLAM and TRIDENT, put into a cohort and read by `prepare`."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import simulations
from client.prepare.preparation import prepare
from client.prepare.settings import PrepareSettings
from shared.cohort.tables import read_slides
from shared.digests import sha256_bytes
from shared.errors import BadInput, CohortError
from shared.site import read_site
from shared.study import Study
from simulations.adapt import adapt
from simulations.encoder_file import encoder_of
from simulations.hospitals import split_cohort
from simulations.imports.features import import_features

SHA = "ab" * 32
SLIDES = ("TCGA-AA-0000-01Z-00-DX1.AAAA", "TCGA-AA-0000-01Z-00-DX2.BBBB", "TCGA-BB-0001-01Z-00-DX1.CCCC")


def write_features(path: Path, dim: int = 4, *, patches: int = 5, trident: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    with h5py.File(path, "w") as file:
        file["features"] = rng.normal(size=(patches, dim)).astype(np.float32)
        file["coords"] = np.arange(patches * 2).reshape(patches, 2) * 256
        if trident:
            file["coords"].attrs.update({"patch_size": 256, "target_magnification": 20})


@pytest.fixture
def cohort(make_cohort: Callable[..., Path], tmp_path: Path) -> Path:
    return make_cohort(tmp_path / "cohort", {"AA": 2, "BB": 2})


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A TRIDENT job folder: patches without features, and features of three slides."""
    root = tmp_path / "job"
    for name in SLIDES:
        write_features(root / "20x_256px_0px_overlap" / "features_uni_v1" / f"{name}.h5", trident=True)
    patches = root / "20x_256px_0px_overlap" / "patches" / "x_patches.h5"
    patches.parent.mkdir()
    with h5py.File(patches, "w") as file:
        file["coords"] = np.zeros((3, 2))
    return root


def test_files_are_linked_and_the_slides_listed(cohort: Path, job: Path) -> None:
    found = import_features(job, cohort, encoder="uni", sha256=SHA)
    assert (found.slides, found.patients, found.dim, found.left_out) == (3, 2, 4, {})
    slides = read_slides(cohort)
    assert slides is not None
    assert slides["slide_id"].tolist() == list(SLIDES)
    assert slides["case_id"].tolist() == ["TCGA-AA-0000", "TCGA-AA-0000", "TCGA-BB-0001"]
    assert all(path.is_symlink() for path in slides["features"])
    encoder = encoder_of(cohort)
    assert encoder is not None
    assert (encoder.encoder, encoder.encoder_sha256) == ("uni", SHA)


def test_a_table_of_slides_decides_and_short_names_fit(cohort: Path, tmp_path: Path) -> None:
    (cohort / "slides.tsv").write_text(f"case_id\tslide_id\nTCGA-AA-0001\t{SLIDES[0]}\nTCGA-BB-0000\tS9\n")
    clam = tmp_path / "clam"
    write_features(clam / "h5_files" / f"{SLIDES[0].split('.')[0]}.h5")
    write_features(clam / "h5_files" / "S9.h5", dim=3)
    write_features(clam / "h5_files" / f"{SLIDES[2]}.h5")
    (clam / "h5_files" / "damaged.h5").write_bytes(b"no HDF5")
    found = import_features(clam, cohort, encoder="uni", sha256=SHA, copy=True)
    assert (found.slides, found.patients) == (1, 1)
    assert found.left_out == {
        "features of another length than most files": 1,
        "no datasets features (N, d) and coords (N, 2), as files of patches or of other tools": 1,
        "no slide of the cohort has its name": 1,
    }
    file = cohort / "features" / "slides" / f"{SLIDES[0]}.h5"
    assert file.is_file()
    assert not file.is_symlink()


def test_prepare_reads_what_was_imported(
    cohort: Path, job: Path, make_study: Callable[..., Study], tmp_path: Path
) -> None:
    import_features(job, cohort, encoder="uni", sha256=SHA)
    study = make_study(
        "modalities.slides.encoder=uni",
        "modalities.slides.dim=4",
        "modalities.slides.tile=256",
        "modalities.slides.mpp=0.5",
        "model.architecture=abmil",
        "modalities.expression=false",
        "modalities.clinical=false",
    )
    fitting, _ = adapt(study, cohort, synthetic=False)
    counts = {}
    for hospital in split_cohort(cohort, "tss", tmp_path / "cache"):
        report = prepare(read_site(hospital.site_file), PrepareSettings.of(fitting))
        counts[hospital.id] = sum(row.state == "used" and "DX" in row.file for row in report.rows)
    assert counts == {"AA": 2, "BB": 1}


@pytest.mark.parametrize(
    ("sha256", "message"),
    [("", "expected the SHA-256"), ("AB" * 32, "64 hex digits, lower case")],
)
def test_weights_must_be_named(cohort: Path, job: Path, sha256: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        import_features(job, cohort, encoder="uni", sha256=sha256)


def test_refusals(cohort: Path, job: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected a folder of features, got no folder .*nowhere"):
        import_features(tmp_path / "nowhere", cohort, encoder="uni", sha256=SHA)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CohortError, match="expected features of the cohort's slides, got no .h5 file"):
        import_features(tmp_path / "empty", cohort, encoder="uni", sha256=SHA)
    other = tmp_path / "other"
    write_features(other / "TCGA-ZZ-0001-01Z-00-DX1.h5")
    with pytest.raises(CohortError, match="got 1 with no slide of the cohort has its name; name the folder") as caught:
        import_features(other, cohort, encoder="uni", sha256=SHA)
    assert "TCGA-ZZ" not in str(caught.value)
    write_features(job / "20x_256px_0px_overlap" / "features_conch" / f"{SLIDES[0]}.h5")
    with pytest.raises(BadInput, match="got several: .*features_conch, .*features_uni_v1; name one of them"):
        import_features(job, cohort, encoder="uni", sha256=SHA)
    one = job / "20x_256px_0px_overlap" / "features_uni_v1"
    import_features(one, cohort, encoder="uni", sha256=SHA)
    import_features(one, cohort, encoder="uni", sha256=SHA)  # again is no fault
    with pytest.raises(BadInput, match="expected features of uni, which are there, got conch; move"):
        import_features(one, cohort, encoder="conch", sha256=SHA)


def test_the_command(
    cohort: Path, job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Path(simulations.__file__).with_name("import_cohort.py")
    (tmp_path / "uni.bin").write_bytes(b"weights")
    write_features(job / "20x_256px_0px_overlap" / "features_uni_v1" / "TCGA-ZZ-0001-01Z-00-DX1.h5")
    arguments = [
        "features",
        str(job),
        "--cohort",
        str(cohort),
        "--encoder",
        "uni",
        "--weights",
        str(tmp_path / "uni.bin"),
    ]
    monkeypatch.setattr(sys, "argv", [str(script), *arguments])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(script), run_name="__main__")
    assert stopped.value.code == 3  # one file was left out
    out = capsys.readouterr().out
    assert "features/slides: 3 slides of 2 patients, 4 features a patch" in out
    assert "left out: 1 files: no slide of the cohort has its name" in out
    encoder = encoder_of(cohort)
    assert encoder is not None
    assert encoder.encoder_sha256 == sha256_bytes(b"weights")
