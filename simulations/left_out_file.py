"""The file of a cohort folder that counts patients of its source who are not in it, by reason.

Who made the folder knows of them; nobody who reads it could. A run counts them among the patients left out, so that
its flow of patients begins where the source does.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from shared.cohort.sheets import read_sheet, refuse, require_columns

__all__ = ["LEFT_OUT_FILE", "left_out_csv", "left_out_of"]

LEFT_OUT_FILE = "left-out.csv"
"""Of a cohort folder: a line a reason, with its patients. Counts only: it names nobody."""


def left_out_of(cohort: Path) -> Counter[str]:
    """Reason -> patients; empty without the file. CohortError lists every fault of the file."""
    path, found = cohort / LEFT_OUT_FILE, Counter[str]()
    if not path.is_file():
        return found
    sheet = read_sheet(path)
    require_columns(path, sheet, ["reason", "patients"])
    faults = []
    for line, reason, patients in sheet[["reason", "patients"]].itertuples():
        if not reason or reason in found:
            faults.append(f"line {line}: expected a reason that stands once, got {reason!r}; correct it")
        elif not patients.isdecimal() or not patients.isascii() or not int(patients):
            faults.append(f"line {line}: expected patients as a whole number from 1, got {patients!r}; correct it")
        else:
            found[reason] = int(patients)
    refuse(path, faults)
    return found


def left_out_csv(counts: Mapping[str, int]) -> str:
    """The text of the file."""
    return pd.DataFrame(counts.items(), columns=["reason", "patients"]).to_csv(index=False, lineterminator="\n")
