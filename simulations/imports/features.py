"""Slide features that CLAM or TRIDENT made, put into a cohort folder where `prepare` finds them."""

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import pandas as pd

from client.prepare.expression.samples import assign
from shared.cohort.folders import is_file
from shared.cohort.tables import read_clinical, read_slides, slide_id_of
from shared.documents import parse
from shared.errors import BadInput, CohortError
from shared.site import ImportedFeatures
from simulations.encoder_file import ENCODER_FILE, encoder_of, encoder_toml
from simulations.tcga.matrices import write_rows

__all__ = ["Imported", "import_features"]

DEEPEST = 3  # folders below the named one
NO_FEATURES = "no datasets features (N, d) and coords (N, 2), as files of patches or of other tools"
NO_SLIDE = "no slide of the cohort has its name"
OTHER_SIZE = "features of another length than most files"


@dataclass(frozen=True)
class Imported:
    """What became of the files."""

    slides: int
    patients: int
    dim: int
    left_out: Mapping[str, int]  # reason -> files


def import_features(folder: Path, cohort: Path, *, encoder: str, sha256: str, copy: bool = False) -> Imported:
    """Link (or copy) the files of `folder` to features/slides/<slide_id>.h5 and write features/encoder.toml.

    A cohort without slides.tsv gets one: a slide belongs to the patient whose case_id its name begins with.

    Parameters
    ----------
    folder
        A folder of .h5 files, or a job folder of CLAM or TRIDENT that holds one such folder.
    cohort
        A cohort folder.
    encoder, sha256
        The encoder as studies name it, and the SHA-256 of its weight file.

    Raises
    ------
    BadInput
        There is no such folder, or features of another encoder are there.
    CohortError
        No file fits, or the cohort's tables are wrong.
    """
    said = parse({"encoder": encoder, "encoder_sha256": sha256}, ImportedFeatures, BadInput, source="--encoder")
    clinical = read_clinical(cohort)
    there = encoder_of(cohort)
    if there is not None and there != said:
        raise BadInput(
            f"{cohort}: expected features of {there.encoder}, which are there, got {encoder}; "
            f"move {cohort / ENCODER_FILE.parent} away or copy the cohort"
        )
    files = _feature_files(folder)
    widths = {path: _width(path) for path in files}
    dim = Counter(width for width in widths.values() if width).most_common(1)
    left_out: Counter[str] = Counter()
    good: dict[str, Path] = {}
    for path, width in widths.items():
        if width and width == dim[0][0]:
            good[slide_id_of(path.name)] = path
        else:
            left_out[OTHER_SIZE if width else NO_FEATURES] += 1
    table = read_slides(cohort)
    owners = _listed(table, good) if table is not None else _by_name(clinical["case_id"].tolist(), good)
    left_out[NO_SLIDE] += len(good) - len(owners)
    if not owners:
        reasons = ", ".join(f"{count} with {reason}" for reason, count in left_out.items() if count)
        raise CohortError(
            f"{folder}: expected features of the cohort's slides, got {reasons or 'no .h5 file'}; "
            "name the folder of features that were made from these slides"
        )
    target = cohort / "features" / "slides"
    target.mkdir(parents=True, exist_ok=True)
    for stem, (slide_id, _) in owners.items():
        _place(good[stem], target / f"{slide_id}.h5", copy=copy)
    if table is None:
        rows = sorted((case, slide_id) for slide_id, case in owners.values())
        write_rows(cohort / "slides.tsv", pd.DataFrame(rows, columns=["case_id", "slide_id"]))
    (cohort / ENCODER_FILE).write_text(encoder_toml(said), encoding="utf-8")
    patients = {case for _, case in owners.values()}
    return Imported(len(owners), len(patients), dim[0][0], {r: n for r, n in sorted(left_out.items()) if n})


def _feature_files(folder: Path) -> list[Path]:
    """The .h5 files of the one folder, here or below, that holds any; those of patches do not count."""
    if not folder.is_dir():
        raise BadInput(f"expected a folder of features, got no folder {folder}; check the path")
    found: dict[Path, list[Path]] = {}
    for place, folders, names in os.walk(folder):
        if len(Path(place).relative_to(folder).parts) >= DEEPEST:
            folders.clear()
        folders[:] = sorted(name for name in folders if name != "patches")
        files = [Path(place, name) for name in sorted(names) if name.endswith(".h5") and is_file(Path(place, name))]
        if files:
            found[Path(place)] = files
    if len(found) > 1:
        listed = ", ".join(str(place.relative_to(folder)) for place in found)
        raise BadInput(f"{folder}: expected one folder of .h5 files, got several: {listed}; name one of them")
    return next(iter(found.values()), [])


def _width(path: Path) -> int:
    """The length of a patch's features; 0 if the file is none of features."""
    try:
        with h5py.File(path) as file:
            features, coords = file["features"], file["coords"]
            whole = features.ndim in (2, 3) and coords.shape[-1] == 2 and features.shape[-2] == coords.shape[-2] > 0
            return int(features.shape[-1]) if whole else 0
    except (OSError, KeyError, AttributeError, IndexError, TypeError):
        return 0


def _listed(table: pd.DataFrame, files: Mapping[str, Path]) -> dict[str, tuple[str, str]]:
    """File stem -> (slide_id, case_id) by slides.tsv: the same name, else the same name up to the first dot."""
    owner = dict(zip(table["slide_id"], table["case_id"], strict=True))
    short = Counter(slide_id.split(".")[0] for slide_id in owner)
    by_short = {slide_id.split(".")[0]: slide_id for slide_id in owner}
    found: dict[str, tuple[str, str]] = {}
    for stem in files:
        begins = stem.split(".")[0]
        slide_id = stem if stem in owner else by_short.get(begins, "") if short[begins] == 1 else ""
        if slide_id and slide_id not in {name for name, _ in found.values()}:
            found[stem] = (slide_id, owner[slide_id])
    return found


def _by_name(cases: Sequence[str], files: Mapping[str, Path]) -> dict[str, tuple[str, str]]:
    """The same where no table lists slides: by the case_id that a name begins with; normal tissue does not count."""
    groups = assign(files, cases).tumour
    return {sample.name: (sample.name, case) for case, samples in groups.items() for sample in samples}


def _place(source: Path, target: Path, *, copy: bool) -> None:
    """A link, or a copy, at `target`; what was there is replaced."""
    target.unlink(missing_ok=True)
    if copy:
        shutil.copyfile(source, target)
    else:
        target.symlink_to(source.resolve())
