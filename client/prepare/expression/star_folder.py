"""A folder of GDC's STAR counts, one file a sample: one sample a patient, the study's genes only."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.prepare.expression.gene_names import GeneNames, GeneRows
from client.prepare.expression.readings import Readings, reason, relative
from client.prepare.expression.samples import NOT_TAKEN, Sample, Samples, record
from client.prepare.expression.sources import star_files
from client.prepare.expression.star import StarFile, read_star
from client.prepare.expression.star_samples import read_star_samples
from client.prepare.patients import Roster
from client.prepare.report import PrepareReport
from shared.errors import CohortError
from shared.site import Site

__all__ = ["STAR_COLUMN", "read_star_folder", "star_scale_fault"]

STAR_COLUMN = {"tpm": "tpm_unstranded", "counts": "unstranded"}
"""Scale of the site file -> column of the files."""

NO_FILE = "no such file in the folder; copy it there or take its line out of the table of samples"
NOT_LISTED = "no table of samples says whose it is; list it in expression/samples.tsv"
OTHER_GENES = "it lists other genes than most files, as a broken download or another gene model has; download it again"


@dataclass(eq=False)
class Layouts:
    """Lists of genes met so far: files of one gene model share theirs, so that names are only looked up once."""

    names: GeneNames
    genes: tuple[str, ...]
    ids: list[list[str]] = field(default_factory=list)
    rows: list[GeneRows] = field(default_factory=list)

    def of(self, file: StarFile) -> int:
        """The number of the file's list."""
        for number, ids in enumerate(self.ids):
            if ids == file.gene_ids:
                return number
        self.ids.append(file.gene_ids)
        self.rows.append(self.names.rows(file.gene_ids, self.genes, file.symbols))
        return len(self.ids) - 1


@dataclass(frozen=True, eq=False)
class Column:
    """One sample that was read."""

    sample: Sample
    file: str
    layout: int
    values: NDArray[np.float64]  # (rows of its layout,)
    total: float  # over all genes; 0 where it is not needed
    seconds: float


def read_star_folder(
    site: Site, names: GeneNames, genes: tuple[str, ...], roster: Roster, report: PrepareReport
) -> Readings:
    """Read the STAR counts of the roster's patients; a file that is broken costs its sample only.

    Column `tpm_unstranded` is read for `expression.scale` = "tpm", `unstranded` for "counts". Of several samples a
    patient the first that can be read is taken: primary tumours first, then by name. Files whose list of genes is not
    that of most files are left out.

    Raises
    ------
    CohortError
        No table says whose samples they are, or the site file says another scale.
    """
    fault = star_scale_fault(site)
    if fault:
        raise CohortError(f"{site.data}/{fault}")
    files = star_files(site.data)
    listed = read_star_samples(site.data)
    _record_files(files, listed, site, roster, report)
    known = {*roster.case_ids, *roster.excluded}
    samples = Samples.of(
        [s for s in listed if s.case_id in known and s.name in files],
        {s.case_id for s in listed if s.case_id not in known and s.name in files},
    )
    record(samples, roster, "expression/", report)
    layouts = Layouts(names, genes)
    columns = [
        column
        for case_id, candidates in samples.tumour.items()
        if case_id in roster.keys
        and (column := _first_readable(candidates, files, site, layouts, roster.keys[case_id], report))
    ]
    return _stacked(columns, layouts, roster, report)


def star_scale_fault(site: Site) -> str:
    """What is wrong with the scale of the site file for STAR counts, "" if nothing is."""
    scale = site.expression.scale
    if scale in STAR_COLUMN:
        return ""
    return (
        "expression: expected expression.scale = 'tpm' or 'counts' in the site file, which STAR files hold, "
        f'got {scale!r}; write scale = "tpm"'
    )


def _first_readable(
    candidates: tuple[Sample, ...],
    files: dict[str, Path],
    site: Site,
    layouts: Layouts,
    key: str,
    report: PrepareReport,
) -> Column | None:
    taken: Column | None = None
    for sample in candidates:
        name = relative(files[sample.name], site)
        if taken is not None:
            report.add(name, "noted", NOT_TAKEN, key=key, case_id=sample.case_id)
            continue
        started = time.perf_counter()
        try:
            file = read_star(files[sample.name])
            layout = layouts.of(file)
            values, total = _values(file, layouts.rows[layout].positions, site.expression.scale)
        except CohortError as exc:
            why = reason(exc, site).removeprefix(f"{reason(Exception(str(files[sample.name])), site)}: ")
            report.add(name, "left out", why, key=key, case_id=sample.case_id)
        else:
            taken = Column(sample, name, layout, values, total, time.perf_counter() - started)
    return taken


def _values(file: StarFile, positions: NDArray[np.int64], scale: str) -> tuple[NDArray[np.float64], float]:
    """The study's rows and the sum over all; TPM need no sum, so that most lines are never split."""
    if scale == "tpm":
        return file.values(STAR_COLUMN[scale], positions), 0.0
    counts = file.values(STAR_COLUMN[scale])
    return counts[positions], float(counts.sum())


def _stacked(columns: list[Column], layouts: Layouts, roster: Roster, report: PrepareReport) -> Readings:
    """Columns of the most frequent list of genes (of several the one met first), side by side."""
    frequent = Counter(column.layout for column in columns).most_common(1)
    layout = frequent[0][0] if frequent else 0
    rows = layouts.rows[layout] if layouts.rows else GeneRows(np.zeros(0, np.int64), ())
    kept = [column for column in columns if column.layout == layout]
    for column in columns:
        key, case_id = roster.keys[column.sample.case_id], column.sample.case_id
        if column.layout == layout:
            report.add(column.file, "used", "", key=key, case_id=case_id, seconds=column.seconds)
        else:
            report.add(column.file, "left out", OTHER_GENES, key=key, case_id=case_id, seconds=column.seconds)
    values = np.stack([column.values for column in kept], axis=1) if kept else np.zeros((len(rows.symbols), 0))
    totals = np.array([column.total for column in kept])
    return Readings("expression/", rows, values, totals, tuple(column.sample.case_id for column in kept))


def _record_files(
    files: dict[str, Path], listed: list[Sample], site: Site, roster: Roster, report: PrepareReport
) -> None:
    """Files that no table lists, and listed files of the roster's patients that are not there."""
    keys, names = roster.keys, {sample.name for sample in listed}
    for name, path in files.items():
        if name not in names:
            report.add(relative(path, site), "left out", NOT_LISTED)
    for sample in listed:
        if sample.name not in files and sample.case_id in keys:
            name = f"expression/{sample.name}"
            report.add(name, "left out", NO_FILE, key=keys[sample.case_id], case_id=sample.case_id)
