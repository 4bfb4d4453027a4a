"""The clinical tables of cBioPortal in the words of a cohort folder."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from shared.cohort.sheets import read_sheet, read_text
from shared.errors import CohortError

__all__ = ["clinical_columns", "read_commented"]

NAMES = {
    "AGE": "age_at_diagnosis",
    "AGE_AT_DIAGNOSIS": "age_at_diagnosis",
    "DIAGNOSIS_AGE": "age_at_diagnosis",
    "GENDER": "sex",
    "TUMOR_GRADE": "grade",
}
"""Names of cBioPortal that are called otherwise in a cohort folder; all else keeps its name in small letters."""
IDS = ("PATIENT_ID", "SAMPLE_ID")
STATUS = re.compile(r"([01]):.*", re.DOTALL)
WORDS = {"deceased": "1", "dead": "1", "living": "0", "alive": "0"}


def read_commented(path: Path) -> pd.DataFrame:
    """A table of words whose lines that begin with '#' are left out; rows keep the number of their line."""
    lines = ["" if line.startswith("#") else line for line in read_text(path).split("\n")]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_text("\n".join(lines), encoding="utf-8")
        try:
            return read_sheet(copy)
        except CohortError as exc:
            raise CohortError(str(exc).replace(str(copy), str(path))) from exc


def clinical_columns(patients: pd.DataFrame | None, samples: pd.DataFrame, taken: Mapping[str, str]) -> pd.DataFrame:
    """One row a patient of `taken` (case_id -> sample): the patient's columns, then the sample's that are new.

    OS_STATUS, and every other status written `0:...` or `1:...`, becomes `<name>_event` with 1 and 0.

    Raises
    ------
    CohortError
        A patient stands twice, or an OS_STATUS is no status.
    """
    cases = sorted(taken)
    parts = [samples.set_index("SAMPLE_ID").loc[[taken[case] for case in cases]].set_axis(cases, axis="index")]
    if patients is not None:
        if "PATIENT_ID" not in patients.columns or patients["PATIENT_ID"].duplicated().any():
            raise CohortError(
                "data_clinical_patient.txt: expected a column PATIENT_ID with every patient once, got another table; "
                "mend it"
            )
        parts.insert(0, patients.set_index("PATIENT_ID").reindex(cases).fillna(""))
    table = pd.DataFrame({"case_id": cases})
    for part in parts:
        for column in part.columns:
            name, values = _named(column, part[column].tolist())
            if column not in IDS and name not in table.columns and any(values):
                table[name] = values
    return table


def _named(column: str, values: Sequence[str]) -> tuple[str, list[str]]:
    """The column's name in a cohort folder, and its values."""
    name = NAMES.get(column.upper(), column.lower())
    if name == "sex":
        return name, [value.lower() for value in values]
    if not name.endswith("_status"):
        return name, list(values)
    codes = {value: _code(value, words=name == "os_status") for value in set(values) if value}
    if all(codes.values()) and codes:
        return f"{name.removesuffix('_status')}_event", [codes.get(value, "") for value in values]
    if name == "os_status":
        unknown = ", ".join(sorted(repr(value) for value, code in codes.items() if not code))
        raise CohortError(
            f"OS_STATUS: expected '0:LIVING' and '1:DECEASED', got {unknown}; write them so, or leave the cells empty"
        )
    return name, list(values)


def _code(value: str, *, words: bool) -> str:
    found = STATUS.fullmatch(value)
    return found[1] if found else WORDS.get(value.lower(), "") if words else ""
