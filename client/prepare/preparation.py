"""`prepare`: a site's files become its feature store, resumable, every input accounted for."""

import errno
import importlib.metadata
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from client.prepare.content import gather
from client.prepare.fingerprint import FileHashes, inputs_sha256
from client.prepare.lock import prepare_lock
from client.prepare.page import write_reports
from client.prepare.patients import read_roster
from client.prepare.report import PrepareReport, Progress
from client.prepare.settings import PrepareSettings, store_folder
from client.prepare.site_encoders import site_encoders, site_recipes, site_weights
from client.prepare.store_state import patients_held
from shared.cohort.drafts import remove_drafts
from shared.cohort.store import FeatureStore, Manifest, finish_store
from shared.errors import BadInput, CohortError, NoPatients, WorkFailed
from shared.site import Site

__all__ = ["prepare"]


def prepare(
    site: Site,
    settings: PrepareSettings,
    *,
    only: Collection[str] = (),
    weights_file: Path | None = None,
    progress: Progress | None = None,
) -> PrepareReport:
    """Make the feature store of a site, or reuse what is there; writes <state>/prepare-report.csv and .html.

    Killed at any moment, it goes on from the last finished slide. A second process waits until the first is done.

    Parameters
    ----------
    site
        The hospital; its site file says where files lie and how to read them.
    settings
        What a study wants to be prepared.
    only
        Modalities to work on now; the store is finished by a run without. Empty = all.
    weights_file
        Overrides where the slide encoder's pretrained weights are looked for.
    progress
        Called with (what, done, total).

    Raises
    ------
    CohortError
        clinical.tsv is missing or malformed, or no patient has any modality.
    EncoderError
        An encoder's weights are missing, or are not those that the study names.
    BadInput
        `only` names a modality that the study does not use.
    WorkFailed
        The disk is full; what was finished is kept.
    """
    strangers = sorted(set(only) - set(settings.modalities))
    if strangers:
        raise BadInput(
            f"--only: expected some of {', '.join(settings.modalities)}, got {', '.join(strangers)}; correct it"
        )
    folder = store_folder(site, settings)
    with _room_on_disk(site), prepare_lock(site):
        report = _reuse_or_build(site, settings, folder, only, weights_file, progress or _silent)
        if report.finished:
            report.patients, report.held = patients_held(folder, settings.modalities)
        write_reports(site, [(settings, report)])
    return report


def _reuse_or_build(
    site: Site,
    settings: PrepareSettings,
    folder: Path,
    only: Collection[str],
    weights_file: Path | None,
    progress: Progress,
) -> PrepareReport:
    record = folder.with_suffix(".json")
    weights = site_weights(site, settings, weights_file)
    hashes = FileHashes(site)
    recipes = site_recipes(site, settings, weights_file)
    inputs = inputs_sha256(site, settings, hashes, recipes, progress)
    folder.mkdir(parents=True, exist_ok=True)
    damaged = _remove_damaged(folder)
    kept = PrepareReport.load(record, folder)
    if not damaged and kept is not None and _fits(folder, site, inputs):
        return kept
    if damaged or not only or "slides" in only:  # tables are not written before all of them are
        (folder / "manifest.json").unlink(missing_ok=True)
    for part in (folder, folder / "slides", folder / "thumbnails"):
        remove_drafts(part)
    report = PrepareReport(folder, finished=not only)
    for name in damaged:
        report.add(name, "noted", "not as it was written, so made again")
    try:
        manifest = _build(site, settings, report, weights, recipes, hashes, inputs, only, weights_file, progress)
    except BaseException as exc:
        if isinstance(exc, CohortError) and not report.left_out:
            report.add("clinical.tsv", "left out", "; ".join(line.strip() for line in str(exc).splitlines()))
        report.write(site.state / "prepare-report.csv")  # what was found so far explains what went wrong
        raise
    if not only:
        report.save(record)
        finish_store(folder, manifest)
    return report


def _build(
    site: Site,
    settings: PrepareSettings,
    report: PrepareReport,
    weights: dict[str, str],
    recipes: dict[str, str],
    hashes: FileHashes,
    inputs: str,
    only: Collection[str],
    weights_file: Path | None,
    progress: Progress,
) -> Manifest:
    roster = read_roster(site)
    report.add("clinical.tsv", "used", f"{len(roster.table)} patients")
    for case_id, key in roster.excluded.items():
        report.add("exclude.csv", "noted", "excluded by the site", key=key, case_id=case_id)
    chosen = tuple(name for name in settings.modalities if not only or name in only)
    encoders = site_encoders(site, settings, chosen, recipes, weights_file)
    content = gather(site, settings, roster, encoders, hashes, report, progress, chosen)
    absent = content.absences(chosen, roster)
    kept = (absent == "").any(axis=1).to_numpy()
    for key, case_id in () if only else roster.table.loc[~kept, ["key", "case_id"]].itertuples(index=False):
        report.add("clinical.tsv", "left out", "no modality of the study", key=key, case_id=case_id)
    if not kept.any():
        raise NoPatients(
            f"{site.data}: expected at least one patient with a modality of the study, got none; "
            f"see {site.state / 'prepare-report.csv'} for the reasons"
        )
    patients = pd.concat([roster.table, absent.add_prefix("absent_")], axis=1)[kept]
    there = {name: bool((absent[name] == "").any()) for name in chosen}
    return Manifest(
        schema=1,
        site=site.id,
        software=_software(),
        settings=settings.content(),
        inputs_sha256=inputs,
        encoders={name: sha if there.get(name) else "" for name, sha in weights.items()},
        slides=content.bags.slides,
        files={} if only else content.write(report.store, patients, kept),
    )


def _remove_damaged(folder: Path) -> list[str]:
    """Delete the files of a finished store that are not as its manifest says; their names."""
    if not (folder / "manifest.json").is_file():
        return []
    try:
        damaged = FeatureStore.faults(folder)
    except CohortError:
        damaged = ["manifest.json"]
    for name in damaged:
        (folder / name).unlink(missing_ok=True)
    return damaged


def _fits(folder: Path, site: Site, inputs: str) -> bool:
    """Whether the store in `folder` is finished and was made from these inputs by this software."""
    manifest = Manifest.read(folder)
    return (
        manifest is not None
        and manifest.site == site.id
        and manifest.inputs_sha256 == inputs
        and manifest.software == _software()
    )


@contextmanager
def _room_on_disk(site: Site) -> Iterator[None]:
    """A full disk ends the work with a sentence; drafts are gone and finished files stay."""
    try:
        yield
    except OSError as exc:
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(exc)
        if not full:
            raise
        raise WorkFailed(
            f"expected room for the feature store in {site.state}, got a full disk; free some space and run `prepare` "
            "again: it goes on where it stopped"
        ) from exc


def _software() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("mmfed", "torch", "openslide-python")}


def _silent(what: str, done: int, total: int) -> None:
    """No progress wanted."""
