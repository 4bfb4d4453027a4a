"""Whose sample a STAR file is: expression/samples.tsv of the site, or the sample sheets of the GDC portal."""

from pathlib import Path

import pandas as pd

from client.prepare.expression.samples import Kind, Sample, kind_of_words
from client.prepare.expression.sources import STAR_SUFFIX, star_sheets
from shared.cohort.sheets import read_sheet, refuse, require_columns
from shared.errors import CohortError

__all__ = ["read_star_samples"]


def read_star_samples(data: Path) -> list[Sample]:
    """The samples that the tables list; `name` is the file's, without .gz.

    samples.tsv has the columns `file` and `case_id`, and may have `sample_type`, in GDC's words; without it every file
    counts as a primary tumour. A GDC sample sheet has `File Name` and `Case ID`, and `Sample Type` or, since 2024,
    `Tissue Type` and `Tumor Descriptor`; its lines about other files are not read.

    Raises
    ------
    CohortError
        There is no such table, one is malformed, or gives a file to two patients.
    """
    sheets = star_sheets(data)
    if not sheets:
        raise CohortError(
            f"{data}/expression: expected samples.tsv (columns file, case_id) or a GDC sample sheet "
            "(gdc_sample_sheet*.tsv), which say whose samples the STAR files are, got neither; add one"
        )
    samples: dict[str, Sample] = {}
    for path in sheets:
        faults = []
        for line, sample in _read(path):
            if samples.setdefault(sample.name, sample) != sample:
                faults.append(f"line {line}: expected one patient a file, got a file of another line again; remove one")
        refuse(path, faults)
    return sorted(samples.values())


def _read(path: Path) -> list[tuple[int, Sample]]:
    """Line number and sample."""
    sheet = read_sheet(path)
    if path.name == "samples.tsv":
        require_columns(path, sheet, ["file", "case_id"])
        files, cases = sheet["file"], sheet["case_id"]
        kinds = _kinds(sheet, "sample_type") if "sample_type" in sheet.columns else [Kind.PRIMARY] * len(sheet)
    else:
        require_columns(path, sheet, ["File Name", "Case ID"])
        files, cases = sheet["File Name"], sheet["Case ID"]
        kinds = _gdc_kinds(path, sheet)
    return [
        (int(line), Sample(kind, name, case_id))
        for line, file, case_id, kind in zip(sheet.index, files, cases, kinds, strict=True)
        if (name := file.rsplit("/", 1)[-1].removesuffix(".gz")).endswith(STAR_SUFFIX) or path.name == "samples.tsv"
    ]


def _gdc_kinds(path: Path, sheet: pd.DataFrame) -> list[Kind]:
    if "Sample Type" in sheet.columns:
        return _kinds(sheet, "Sample Type")
    require_columns(path, sheet, ["Tissue Type", "Tumor Descriptor"])
    tissue, tumour = _kinds(sheet, "Tissue Type"), _kinds(sheet, "Tumor Descriptor")
    return [Kind.NORMAL if t is Kind.NORMAL else kind for t, kind in zip(tissue, tumour, strict=True)]


def _kinds(sheet: pd.DataFrame, column: str) -> list[Kind]:
    return [kind_of_words(words) for words in sheet[column]]
