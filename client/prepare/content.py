"""What will stand in a feature store: every modality of the study, gathered from the site's files."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from client.prepare.blood.table import blood_table
from client.prepare.blood.text import blood_text
from client.prepare.clinical import clinical_table
from client.prepare.encoders import Encoder
from client.prepare.expression.alterations import aux_table
from client.prepare.expression.coverage import coverage, observed_genes
from client.prepare.expression.tables import expression_table
from client.prepare.fingerprint import FileHashes
from client.prepare.imaging.folder import prepare_images
from client.prepare.patients import Roster
from client.prepare.report import PrepareReport, Progress
from client.prepare.settings import PrepareSettings
from client.prepare.slides.folder import Bags, prepare_slides
from shared.cohort.blood_text_file import TextFeatures, write_text_features
from shared.cohort.image_file import Images, write_images
from shared.cohort.store import StoredFile
from shared.cohort.store_files import Table, write_patients, write_table
from shared.digests import sha256_file
from shared.errors import CohortError
from shared.site import Site

__all__ = ["LACKING", "Content", "gather"]

LACKING = {
    "slides": "no usable slide",
    "expression": "no gene of the study's vocabulary was measured",
    "blood": "no usable result of the study's analytes",
    "imaging": "no usable clinical image",
    "clinical": "none of the study's clinical columns is known",
}
"""Modality -> why a patient lacks it, as patients.csv says."""


@dataclass
class Content:
    """The parts of a store; tables have one row a patient of the roster."""

    tables: dict[str, Table] = field(default_factory=dict)
    bags: Bags = field(default_factory=Bags)
    images: Images | None = None
    blood_text: TextFeatures | None = None

    def has(self, modality: str, keys: "pd.Series[str]") -> NDArray[np.bool_]:
        """Which of the patients have the modality: (P,)."""
        if modality == "slides":
            return np.asarray(keys.isin(list(self.bags.slides)), dtype=bool)
        if modality == "imaging":
            return np.asarray(keys.isin([] if self.images is None else list(self.images.keys)), dtype=bool)
        if modality == "blood" and self.blood_text is not None:
            return self.blood_text.present
        return np.asarray(self.tables[modality].observed.any(axis=1))

    def absences(self, modalities: tuple[str, ...], roster: Roster) -> pd.DataFrame:
        """One column a modality: why each patient lacks it, "" where it is there."""
        keys = roster.table["key"]
        columns = {name: np.where(self.has(name, keys), "", LACKING[name]) for name in modalities}
        return pd.DataFrame(columns, index=roster.table.index)

    def write(self, folder: Path, patients: pd.DataFrame, kept: NDArray[np.bool_]) -> dict[str, StoredFile]:
        """Write patients.csv and all tables of the kept patients; every file of the store with its hash and rows."""
        keys = tuple(patients["key"])
        write_patients(folder / "patients.csv", patients)
        rows = {"patients.csv": len(patients)}
        for name, table in self.tables.items():
            write_table(folder / f"{name}.h5", Table(table.values[kept], table.observed[kept], table.columns, keys))
            rows[f"{name}.h5"] = len(keys)
        if self.blood_text is not None:
            write_text_features(folder / "blood_text.h5", self.blood_text.take(kept))
            rows["blood_text.h5"] = len(keys)
        if self.images is not None:
            write_images(folder / "imaging.h5", self.images)
            rows["imaging.h5"] = len(self.images.keys)
        for slide_id, patches in self.bags.patches.items():
            rows[f"slides/{slide_id}.h5"] = patches
            picture = f"thumbnails/{slide_id}.jpg"
            if (folder / picture).is_file():
                rows[picture] = 1
        return {name: StoredFile(sha256=sha256_file(folder / name), rows=n) for name, n in sorted(rows.items())}


def gather(
    site: Site,
    settings: PrepareSettings,
    roster: Roster,
    encoders: dict[str, Encoder],
    hashes: FileHashes,
    report: PrepareReport,
    progress: Progress,
    only: Collection[str],
) -> Content:
    """Read and encode the modalities `only`; a malformed file costs its modality, never the others.

    `encoders` holds the image encoders by modality; none for slides whose features were made elsewhere.
    Slides are written into `report.store` on the way.
    """
    content = Content()
    makers = _makers(site, settings, roster, report)
    wanted = [name for name in makers if name in only or (name == "aux" and settings.aux and "expression" in only)]
    for done, name in enumerate(wanted, start=1):
        file, columns, make = makers[name]
        try:
            content.tables[name] = make()
        except CohortError as exc:
            report.add(file, "left out", _one_line(exc))
            content.tables[name] = roster.as_table(np.full((len(roster.table), len(columns)), np.nan), columns)
        progress("tables", done, len(wanted))
    if "expression" in content.tables:
        found = coverage(settings.groups, observed_genes(content.tables["expression"]))
        for group, (genes, total) in found.items():
            report.cover("expression", group, genes, total)
    if settings.blood and settings.blood.route != "numeric" and "blood" in only:
        content.blood_text = blood_text(site, roster, settings.blood, report)
    if settings.imaging and "imaging" in only:
        content.images = prepare_images(site, settings.imaging, encoders["imaging"], roster, report, progress)
    if settings.slides and "slides" in only:
        folder = report.store / "slides"
        try:
            content.bags = prepare_slides(
                site, settings.slides, encoders.get("slides"), roster, folder, hashes, report, progress
            )
        except CohortError as exc:
            report.add("slides.tsv", "left out", _one_line(exc))
    return content


Maker = tuple[str, tuple[str, ...], Callable[[], Table]]


def _makers(site: Site, settings: PrepareSettings, roster: Roster, report: PrepareReport) -> dict[str, Maker]:
    """Table -> the file it comes from, its columns, and how to make it."""
    makers: dict[str, Maker] = {}
    if "expression" in settings.modalities:
        genes, aux = settings.genes, settings.aux
        makers["expression"] = ("expression.tsv", genes, lambda: expression_table(site, roster, genes, report))
        makers["aux"] = ("mutations.tsv, copy_number.tsv", aux, lambda: aux_table(site, roster, aux, report))
    blood = settings.blood
    if blood and blood.route == "numeric":
        makers["blood"] = ("blood.csv", blood.analytes, lambda: blood_table(site, roster, blood, report))
    if settings.clinical:
        names = tuple(name for name, _, _ in settings.clinical)
        makers["clinical"] = ("clinical.tsv", names, lambda: clinical_table(roster, settings.clinical, report))
    return makers


def _one_line(exc: CohortError) -> str:
    """An error's text as one cell of a table."""
    return "; ".join(line.strip() for line in str(exc).splitlines())
