"""One feature store without the patients who withdrew; what cannot be read is deleted, and made again when needed."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from client.prepare.report import PrepareReport
from shared.cohort.blood_text_file import read_text_features, write_text_features
from shared.cohort.image_file import read_images, write_images
from shared.cohort.store import Manifest, StoredFile, finish_store
from shared.cohort.store_files import Table, read_patients, read_table, write_patients, write_table
from shared.digests import sha256_file
from shared.errors import CohortError

__all__ = ["purge_store", "read_manifest"]


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a finished store; None for an unfinished one and for one whose manifest is damaged."""
    try:
        return Manifest.read(folder)
    except CohortError:
        return None


def purge_store(folder: Path, keys: Collection[str], slides: Collection[str], others: Collection[str]) -> int:
    """Delete the patients `keys` from the store in `folder`; returns the number of files changed or deleted.

    `slides` are known to be theirs, `others` to belong to patients who stay. Every other slide file goes, and so do
    drafts: the caller holds the prepare lock, so nobody is writing them.
    """
    record, manifest = folder.with_suffix(".json"), read_manifest(folder)
    (folder / "manifest.json").unlink(missing_ok=True)  # half a purge must not look like a finished store
    theirs = {slide for key in keys for slide in manifest.slides.get(key, [])} if manifest else set()
    kept_slides = set(others) - set(slides) - theirs
    gone = sorted(folder.glob(".*.tmp"))
    for place in ("slides", "thumbnails"):
        gone += sorted(path for path in (folder / place).glob("*") if path.stem not in kept_slides)
    for path in gone:
        path.unlink()
    changed = len(gone)
    rows: dict[str, int | None] = {}
    for path in sorted(p for p in folder.glob("*") if p.suffix in (".h5", ".csv")):
        before = sha256_file(path)
        rows[path.name] = _without(path, keys)
        changed += rows[path.name] is None or sha256_file(path) != before
    changed += _purge_record(record, folder, keys, slides)
    if manifest is not None:
        _finish(folder, manifest, keys, rows)
    return changed


def _purge_record(record: Path, folder: Path, keys: Collection[str], slides: Collection[str]) -> int:
    """Rewrite the report of a store without the patients and without nobody's files; delete a damaged one."""
    if not record.is_file():
        return 0
    report = PrepareReport.load(record, folder)
    if report is None:
        record.unlink()
        return 1
    rows = [row for row in report.rows if row.key not in keys and (row.key or row.case_id or "/" not in row.file)]
    replace(report, rows=rows).save(record)
    return int(rows != report.rows)


def _finish(folder: Path, manifest: Manifest, keys: Collection[str], rows: dict[str, int | None]) -> None:
    """Declare the store finished again, unless nobody is left in it or a file of the others is missing."""
    files = {name: stored for name, stored in manifest.files.items() if (folder / name).is_file() and "/" in name}
    for name, count in rows.items():
        if count is not None:
            files[name] = StoredFile(sha256=sha256_file(folder / name), rows=count)
    slides = {key: ids for key, ids in manifest.slides.items() if key not in keys}
    needed = {f"slides/{slide}.h5" for ids in slides.values() for slide in ids}
    needed |= {name for name in manifest.files if "/" not in name}
    if rows.get("patients.csv") and needed <= set(files):
        finish_store(folder, manifest.model_copy(update={"files": files, "slides": slides}))


def _without(path: Path, keys: Collection[str]) -> int | None:
    """Rewrite one table of a store without the patients; the rows that are left, None if it had to be deleted."""
    try:
        return _rewritten(path, keys)
    except (OSError, ValueError, KeyError):  # damaged, or no room to write it again
        path.unlink()
        return None


def _rewritten(path: Path, keys: Collection[str]) -> int:
    if path.name == "patients.csv":
        patients = read_patients(path)
        stay = ~patients["key"].isin(list(keys))
        write_patients(path, patients[stay])
        return int(stay.sum())
    if path.name == "imaging.h5":
        images = read_images(path)
        kept = ~np.isin(images.keys, list(keys))
        write_images(path, images.take(kept))
        return int(kept.sum())
    if path.name == "blood_text.h5":
        text = read_text_features(path)
        kept = ~np.isin(text.keys, list(keys))
        write_text_features(path, text.take(kept))
        return int(kept.sum())
    table = read_table(path)
    kept = np.array([key not in keys for key in table.keys], dtype=bool)
    left = tuple(key for key in table.keys if key not in keys)
    write_table(path, Table(table.values[kept], table.observed[kept], table.columns, left))
    return len(left)
