"""A patient who withdrew: delete every feature of hers at this site, and say what cannot be undone."""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from client.prepare.exclusions import exclude
from client.prepare.fingerprint import FileHashes
from client.prepare.lock import detector_lock, prepare_lock
from client.prepare.purge_store import purge_store, read_manifest
from client.prepare.report import PrepareReport, ReportRow
from shared.cohort.store_files import patient_key, read_patients, site_salt
from shared.cohort.tables import read_slides, slide_id_of
from shared.errors import CohortError
from shared.site import Site

__all__ = ["CANNOT_BE_UNDONE", "purge"]

CANNOT_BE_UNDONE = (
    "What cannot be undone: models that were already trained with this patient, updates that already left this site, "
    "and copies in backups. The hospital's own files were not touched."
)

NAMELESS = ("blood_text", "detector/work", "rounds")
"""Folders of what was made of patients without saying of whom; all of them go. What is needed again is made again.

`rounds` is what trainings keep from round to round. A training that goes on starts again from the average of the layers
that a site keeps its own of; with SCAFFOLD it goes on without this site, which the next run has again.
"""

REPORTS = ("prepare-report.csv", "detector-report.csv")

OWN_DRAFTS = (".prepare-report.", ".detector-report.", ".files.json.")
"""Drafts in the state folder that may name patients; those of approvals and of the salt do not."""


@dataclass(frozen=True)
class Remembered:
    """Who the stores and reports of a site say she is, though clinical.tsv may have forgotten her."""

    case_ids: frozenset[str]  # of those to purge, the ones that were found
    keys: frozenset[str]  # of all to purge
    slides: frozenset[str]  # slide ids


def purge(site: Site, case_ids: tuple[str, ...]) -> int:
    """Exclude the patients and delete what was made of them; returns the number of files changed or deleted.

    That is every store, finished or not; reports, heatmaps, predictions, names of files, what trainings keep from round
    to round, and what killed runs left behind. Files that nobody left at the site is known to own go as well: what is
    needed can be made again.

    Raises
    ------
    BadInput
        A case_id that neither clinical.tsv nor a store nor a report knows; nothing is deleted then.
    CohortError
        exclude.csv or the salt is damaged.
    """
    wanted = frozenset(case_ids)
    # before the locks: while a prepare goes on for hours, the next round is already without them
    exclude(site, case_ids, "withdrew consent", known=_remembered(site, _stores(site), wanted).case_ids)
    with prepare_lock(site), detector_lock(site):
        stores = _stores(site)
        hers = _remembered(site, stores, wanted)
        listed, others = _listed_slides(site, wanted)
        others |= {slide for store in stores for slide in _slides_of_others(store, hers.keys)}
        hers = replace(hers, slides=hers.slides | listed)
        changed = _delete(draft for draft in site.state.glob(".*.tmp") if draft.name.startswith(OWN_DRAFTS))
        changed += _delete((site.state / "store").glob(".*.tmp"))
        changed += sum(purge_store(store, hers.keys, hers.slides, others) for store in stores)
        changed += sum(_purge_report(site.state / name, hers, wanted) for name in REPORTS)
        changed += _delete([site.state / "prepare-report.html"])
        changed += _purge_heatmaps(site.state / "heatmaps", others - hers.slides)
        changed += _delete((site.state / "predictions").glob("*"))
        changed += _forget_names(site, others - hers.slides)
        for folder in (site.state / name for name in NAMELESS):
            if folder.exists():
                shutil.rmtree(folder)
    return changed


def _stores(site: Site) -> list[Path]:
    """The folders of all stores, those of which only the report is left too."""
    found = [path for path in (site.state / "store").glob("*") if path.is_dir() or path.suffix == ".json"]
    return sorted({path.with_suffix("") for path in found})


def _remembered(site: Site, stores: list[Path], case_ids: frozenset[str]) -> Remembered:
    """What patients.csv and the report of every store, and the site's own reports, know of the patients."""
    salt = site_salt(site.state)
    named = {patient_key(salt, case_id): case_id for case_id in case_ids}
    rows: list[ReportRow] = []
    for store in stores:
        kept = PrepareReport.load(store.with_suffix(".json"), store)
        rows += kept.rows if kept else []
        rows += [ReportRow(key, case_id, "", "used", "") for key, case_id in _patients(store)]
    for name in REPORTS:
        kept = PrepareReport.read(site.state / name, site.state)
        rows += kept.rows if kept else []
    hers = [row for row in rows if row.key in named or row.case_id in case_ids]
    found = {named.get(row.key, row.case_id) for row in hers}
    # a store that was made with another salt knows her by another key
    keys = {*named, *(row.key for row in hers if row.key)}
    return Remembered(frozenset(found), frozenset(keys), frozenset(filter(None, map(_slide_of, hers))))


def _patients(store: Path) -> list[tuple[str, str]]:
    """Key and case_id of every patient in a store; none where patients.csv is missing or damaged."""
    try:
        table = read_patients(store / "patients.csv")
        return list(zip(table["key"], table["case_id"], strict=True))
    except (OSError, ValueError, KeyError):
        return []


def _slide_of(row: ReportRow) -> str:
    """The slide that a row is about, "" if it is about none."""
    file = Path(row.file)
    return slide_id_of(file.name) if file.parent.name == "slides" else ""


def _listed_slides(site: Site, case_ids: frozenset[str]) -> tuple[set[str], set[str]]:
    """The patients' slides in slides.tsv, and all others; none of either where there is no such table to be read."""
    try:
        listed = read_slides(site.data)
    except CohortError:
        listed = None
    if listed is None:
        return set(), set()
    mine = listed["case_id"].isin(case_ids)
    return set(listed["slide_id"][mine]), set(listed["slide_id"][~mine])


def _slides_of_others(store: Path, keys: frozenset[str]) -> set[str]:
    """The slides of all who stay in a finished store."""
    manifest = read_manifest(store)
    return {slide for key, ids in manifest.slides.items() if key not in keys for slide in ids} if manifest else set()


def _delete(paths: Iterable[Path]) -> int:
    """Delete files; how many there were."""
    found = [path for path in paths if path.is_file() or path.is_symlink()]
    for path in found:
        path.unlink()
    return len(found)


def _purge_report(path: Path, hers: Remembered, case_ids: frozenset[str]) -> int:
    """Rewrite a report without the patients, and without files in folders that are nobody's; delete a damaged one."""
    report = PrepareReport.read(path, path.parent)
    if report is None:
        return _delete([path])
    words = "|".join(re.escape(word) for word in sorted({*case_ids, *hers.keys}))
    names = re.compile(rf"(?<![A-Za-z0-9._-])(?:{words})(?![A-Za-z0-9_-])")
    rows = [
        row
        for row in report.rows
        if not (row.key in hers.keys or row.case_id in case_ids or _slide_of(row) in hers.slides)
        and (row.key or row.case_id or "/" not in row.file)
        and not names.search(f"{row.file} {row.reason}")
    ]
    replace(report, rows=rows).write(path)
    return 1


def _purge_heatmaps(folder: Path, others: set[str]) -> int:
    """Delete the pictures of slides that do not belong to one of the others."""
    return _delete(path for path in folder.glob("*") if path.name.startswith(".") or path.stem not in others)


def _forget_names(site: Site, others: set[str]) -> int:
    """Take the names of files in the data folder's folders out of files.json, but for slides of others."""
    path = site.state / "files.json"
    if not path.is_file():
        return 0
    hashes = FileHashes(site)

    def nobodys(name: str) -> bool:
        folder, _, file = name.removeprefix("features/").partition("/")
        inside = "/" in name and not name.startswith("/")
        return inside and not (folder == "slides" and slide_id_of(file.split("/")[0]) in others)

    forgotten = hashes.forget(nobodys)
    hashes.save()  # a damaged one too, of which nothing was read
    return int(forgotten > 0)
