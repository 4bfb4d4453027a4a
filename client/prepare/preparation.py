"""`prepare`: a site's files become its feature store, resumable, every input accounted for."""

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from client.prepare.blood.table import blood_table
from client.prepare.clinical import clinical_table
from client.prepare.encoders.table import build_encoder, encoder_sha256
from client.prepare.expression.tables import aux_table, expression_table
from client.prepare.fingerprint import FileHashes, inputs_sha256
from client.prepare.patients import Roster, read_roster
from client.prepare.report import PrepareReport
from client.prepare.settings import PrepareSettings
from client.prepare.slides.folder import Bags, Progress, prepare_slides
from shared.cohort.store import Manifest, StoredFile, finish_store
from shared.cohort.store_files import Table, remove_drafts, write_patients, write_table
from shared.digests import sha256_file
from shared.errors import EncoderError, NoPatients
from shared.site import Site

__all__ = ["prepare", "store_folder"]

LACKING = {
    "slides": "no usable slide",
    "expression": "no gene of the study's vocabulary was measured",
    "blood": "no usable result of the study's analytes",
    "clinical": "none of the study's clinical columns is known",
}
"""Modality -> why a patient lacks it, as patients.csv says."""


@dataclass
class Content:
    """What will stand in the store: one row a patient of the roster everywhere."""

    tables: dict[str, Table] = field(default_factory=dict)
    bags: Bags = field(default_factory=Bags)


def store_folder(site: Site, settings: PrepareSettings) -> Path:
    """Where the store for `settings` lies at this site."""
    return site.state / "store" / settings.digest[:12]


def prepare(
    site: Site, settings: PrepareSettings, *, weights_file: Path | None = None, progress: Progress | None = None
) -> PrepareReport:
    """Make the feature store of a site, or reuse what is there; writes <state>/prepare-report.csv.

    Killed at any moment, it goes on from the last finished slide. `weights_file` overrides where the encoder's
    pretrained weights are looked for.

    Raises
    ------
    CohortError
        A table is missing or malformed, or no patient has any modality.
    EncoderError
        The encoder's weights are missing, or are not those that the study names.
    """
    folder = store_folder(site, settings)
    record = folder.with_suffix(".csv")
    weights = _weights_sha256(settings, weights_file)
    hashes = FileHashes(site)
    inputs = inputs_sha256(site, hashes, slides=settings.slides is not None, encoder_sha256=weights)
    if record.is_file() and _is_finished(folder, site, inputs):
        report = PrepareReport.read(record, folder)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").unlink(missing_ok=True)
        remove_drafts(folder)
        report = PrepareReport(folder)
        try:
            _build(site, settings, report, inputs, hashes, weights_file, progress or _silent)
        finally:
            report.write(site.state / "prepare-report.csv")
        report.write(record)
    report.write(site.state / "prepare-report.csv")
    return report


def _build(
    site: Site,
    settings: PrepareSettings,
    report: PrepareReport,
    inputs: str,
    hashes: FileHashes,
    weights_file: Path | None,
    progress: Progress,
) -> None:
    roster = read_roster(site)
    for case_id, key in roster.excluded.items():
        report.add("exclude.csv", "noted", "excluded by the site", key=key, case_id=case_id)
    content = Content(_tables(site, settings, roster, report, progress))
    encoders = {}
    if settings.slides:
        encoder = build_encoder(settings.slides.encoder, settings.slides.weights, weights_file)
        content.bags = prepare_slides(
            site, settings.slides, encoder, roster, report.store / "slides", hashes, report, progress
        )
        encoders = {"slides": encoder.sha256 if content.bags.slides else ""}
    absent = _absences(settings, roster, content)
    kept = (absent == "").any(axis=1).to_numpy()
    for key, case_id in roster.table.loc[~kept, ["key", "case_id"]].itertuples(index=False):
        report.add("clinical.tsv", "left out", "no modality of the study", key=key, case_id=case_id)
    if not kept.any():
        raise NoPatients(
            f"{site.data}: expected at least one patient with a modality of the study, got none; run `check`"
        )
    patients = pd.concat([roster.table, absent.add_prefix("absent_")], axis=1)[kept]
    files = _write(report.store, patients, content, kept)
    manifest = Manifest(
        schema=1,
        site=site.id,
        software=_software(),
        settings=settings.content(),
        inputs_sha256=inputs,
        encoders=encoders,
        slides=content.bags.slides,
        files=files,
    )
    finish_store(report.store, manifest)


def _tables(
    site: Site, settings: PrepareSettings, roster: Roster, report: PrepareReport, progress: Progress
) -> dict[str, Table]:
    """The tabular modalities of the study."""
    makers: dict[str, Callable[[], Table]] = {
        "expression": lambda: expression_table(site, roster, settings.genes, report),
        "aux": lambda: aux_table(site, roster, settings.aux, report),
        "blood": lambda: blood_table(site, roster, settings.analytes, report),
        "clinical": lambda: clinical_table(roster, settings.clinical, report),
    }
    wanted = [name for name in makers if name in settings.modalities or (name == "aux" and settings.aux)]
    tables = {}
    for done, name in enumerate(wanted, start=1):
        tables[name] = makers[name]()
        progress("tables", done, len(wanted))
    return tables


def _absences(settings: PrepareSettings, roster: Roster, content: Content) -> pd.DataFrame:
    """One column a modality: why each patient lacks it, "" where it is there."""
    columns = {}
    for name in settings.modalities:
        if name == "slides":
            there: NDArray[np.bool_] = roster.table["key"].isin(list(content.bags.slides)).to_numpy()
        else:
            there = np.any(content.tables[name].observed, axis=1)
        columns[name] = np.where(there, "", LACKING[name])
    return pd.DataFrame(columns, index=roster.table.index)


def _write(folder: Path, patients: pd.DataFrame, content: Content, kept: NDArray[np.bool_]) -> dict[str, StoredFile]:
    """Write patients.csv and the tables of the kept patients; all files of the store with their hashes."""
    write_patients(folder / "patients.csv", patients)
    rows = {"patients.csv": len(patients)}
    for name, table in content.tables.items():
        keys = tuple(patients["key"])
        write_table(folder / f"{name}.h5", Table(table.values[kept], table.observed[kept], table.columns, keys))
        rows[f"{name}.h5"] = len(keys)
    rows |= {f"slides/{slide_id}.h5": patches for slide_id, patches in content.bags.patches.items()}
    return {name: StoredFile(sha256=sha256_file(folder / name), rows=count) for name, count in sorted(rows.items())}


def _is_finished(folder: Path, site: Site, inputs: str) -> bool:
    manifest = Manifest.read(folder)
    return (
        manifest is not None
        and manifest.site == site.id
        and manifest.inputs_sha256 == inputs
        and manifest.software == _software()
        and all((folder / name).is_file() for name in manifest.files)
    )


def _weights_sha256(settings: PrepareSettings, weights_file: Path | None) -> str:
    """SHA-256 of the encoder's weights on this machine; EncoderError if the study names others."""
    slides = settings.slides
    if slides is None:
        return ""
    found = encoder_sha256(slides.encoder, slides.weights, weights_file)
    if slides.encoder_sha256 and slides.encoder_sha256 != found:
        raise EncoderError(
            f"expected weights of {slides.encoder} with SHA-256 {slides.encoder_sha256[:12]}..., as the study says, "
            f"got {found[:12]}...; install the weights the coordinator used"
        )
    return found


def _software() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("mmfed", "torch", "openslide-python")}


def _silent(modality: str, done: int, total: int) -> None:
    """No progress wanted."""
