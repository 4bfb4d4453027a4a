"""The lung cancer trial of the North Central Cancer Treatment Group as a cohort folder, without any download.

Real patients with advanced lung cancer of 18 hospitals, public for thirty years; the table comes with lifelines.
Source: Loprinzi et al. 1994, J Clin Oncol 12:601-607.
"""

import tempfile
from pathlib import Path

import pandas as pd

from shared.digests import sha256_bytes
from shared.site import Disclosure
from simulations.disclosure_file import DISCLOSURE_FILE, disclosure_toml
from simulations.left_out_file import LEFT_OUT_FILE, left_out_csv

__all__ = ["LUNG", "lung_table", "write_lung"]

LUNG = "lung"
"""What `--cohort` takes."""

DAYS_A_MONTH = 30.4375
MEASURED = {
    "ph.ecog": "ph_ecog",
    "ph.karno": "ph_karno",
    "pat.karno": "pat_karno",
    "meal.cal": "meal_cal",
    "wt.loss": "wt_loss",
}
"""lifelines' name -> ours: performance by ECOG (0 best), Karnofsky by physician and by patient (100 best), calories of
meals, pounds lost in six months."""


def lung_table() -> tuple[pd.DataFrame, int]:
    """clinical.tsv of the patients whose hospital is known, "" where missing; and how many name none."""
    from lifelines.datasets import load_lung

    raw = load_lung()
    known = raw["inst"].notna()
    raw = raw[known]
    table = pd.DataFrame(
        {
            "case_id": [f"lung-{row + 1:03d}" for row in raw.index],
            "site": [f"inst-{int(inst):02d}" for inst in raw["inst"]],
            "os_months": (raw["time"] / DAYS_A_MONTH).round(4),
            "os_event": raw["status"].astype(int),
            "age_at_diagnosis": raw["age"].astype(int),
            "sex": raw["sex"].map({1: "male", 2: "female"}),
            **{ours: raw[theirs].astype("Int64") for theirs, ours in MEASURED.items()},
        }
    )
    return table, int((~known).sum())


def write_lung(cache: Path) -> tuple[Path, list[str]]:
    """The cohort folder under `cache`, written where it is not there yet, and what a reader must know of it."""
    table, nowhere = lung_table()
    text = table.to_csv(sep="\t", index=False, lineterminator="\n")
    terms = disclosure_toml(Disclosure(min_patients=1))
    missing = left_out_csv({"no hospital is named": nowhere})
    folder = cache / "cohorts" / f"{LUNG}-{sha256_bytes((text + terms + missing).encode())[:12]}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{LUNG}-", dir=folder.parent) as scratch:
            draft = Path(scratch) / LUNG
            draft.mkdir()
            (draft / "clinical.tsv").write_text(text, encoding="utf-8")
            (draft / DISCLOSURE_FILE).write_text(terms, encoding="utf-8")
            (draft / LEFT_OUT_FILE).write_text(missing, encoding="utf-8")
            draft.rename(folder)
    return folder, [
        "The patients are real: advanced lung cancer, North Central Cancer Treatment Group "
        f"(Loprinzi et al. 1994, J Clin Oncol 12:601-607), {table['site'].nunique()} hospitals, as lifelines ships "
        "them; months are days of survival from enrolment / 30.4375.",
        f"{nowhere} of {len(table) + nowhere} patients names no hospital and was left out."
        if nowhere == 1
        else f"{nowhere} of {len(table) + nowhere} patients name no hospital and were left out.",
        "A missing value counts as the public centre of its column and is marked as not observed; nothing is fitted.",
    ]
