"""The clinical table of a cohort, from the GDC's cases with their demographic, diagnoses and follow-ups."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from simulations.tcga.barcodes import site_of
from simulations.tcga.gdc import Gdc, one_of
from simulations.tcga.tissue_source_sites import tissue_source_sites

__all__ = ["clinical_table", "fetch_cases"]

FIELDS = (
    "submitter_id",
    "primary_site",
    "disease_type",
    "project.project_id",
    "demographic.gender",
    "demographic.sex_at_birth",
    "demographic.vital_status",
    "demographic.days_to_death",
    "diagnoses.submitter_id",
    "diagnoses.age_at_diagnosis",
    "diagnoses.ajcc_pathologic_stage",
    "diagnoses.classification_of_tumor",
    "diagnoses.days_to_last_follow_up",
    "diagnoses.diagnosis_is_primary_disease",
    "diagnoses.primary_diagnosis",
    "diagnoses.tumor_grade",
    "diagnoses.who_cns_grade",
    "follow_ups.days_to_follow_up",
)
YEAR = 365.25  # days
MONTH = YEAR / 12
NOTHING = ("", "not reported", "unknown", "not applicable", "not allowed to collect", "--", "unspecified")
ROMAN = {"i": "G1", "ii": "G2", "iii": "G3", "iv": "G4"}
EVENTS = {"dead": "1", "alive": "0"}


def fetch_cases(gdc: Gdc, projects: Sequence[str]) -> list[dict[str, Any]]:
    """The GDC's records of all patients of the projects, sorted by barcode."""
    return gdc.hits("cases", one_of("project.project_id", projects), FIELDS, "submitter_id")


def clinical_table(cases: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a patient, strings, "" where the GDC does not know; columns that nobody has are left out.

    age_at_diagnosis in years. os_event: 1 dead, 0 alive. os_months: from diagnosis to death, or to the latest contact
    of somebody alive; months of 30.4375 days. grade: G1 to G4, from the tumour's grade, else from its WHO grade.
    """
    table = pd.DataFrame([_row(case) for case in cases]).sort_values("case_id", ignore_index=True)
    return table[[name for name in table.columns if name == "case_id" or table[name].ne("").any()]]


def _row(case: Mapping[str, Any]) -> dict[str, str]:
    person = case.get("demographic") or {}
    found = _primary(case.get("diagnoses") or [])
    name = str(case["submitter_id"])
    hospital = tissue_source_sites().get(site_of(name))
    return {
        "case_id": name,
        "project": _word((case.get("project") or {}).get("project_id")),
        "tissue_source_site": site_of(name),
        "hospital": hospital.hospital if hospital else site_of(name),  # a code that the table lacks stays a code
        "primary_site": _word(case.get("primary_site")),
        "disease_type": _word(case.get("disease_type")),
        "primary_diagnosis": _word(found.get("primary_diagnosis")),
        "age_at_diagnosis": _scaled(found.get("age_at_diagnosis"), YEAR, 2),
        "sex": _word(person.get("sex_at_birth")).lower() or _word(person.get("gender")).lower(),
        "os_months": _scaled(_days(case, person), MONTH, 3),
        "os_event": EVENTS.get(_word(person.get("vital_status")).lower(), ""),
        "grade": _grade(found),
        "stage": _word(found.get("ajcc_pathologic_stage")),
    }


def _primary(diagnoses: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The diagnosis of the tumour that was collected: the one marked as primary, else the first with an age."""

    def order(diagnosis: Mapping[str, Any]) -> tuple[bool, bool, bool, str]:
        return (
            str(diagnosis.get("diagnosis_is_primary_disease")).lower() != "true",
            _word(diagnosis.get("classification_of_tumor")).lower() != "primary",
            diagnosis.get("age_at_diagnosis") is None,
            str(diagnosis.get("submitter_id", "")),
        )

    return min(diagnoses, key=order, default={})


def _days(case: Mapping[str, Any], person: Mapping[str, Any]) -> float | None:
    """Days from diagnosis to death, or to the latest contact of somebody who is not dead; None if unknown."""
    if _word(person.get("vital_status")).lower() == "dead":
        days = [person.get("days_to_death")]
    else:
        days = [d.get("days_to_last_follow_up") for d in case.get("diagnoses") or []]
        days += [f.get("days_to_follow_up") for f in case.get("follow_ups") or []]
    return max((float(day) for day in days if day is not None and float(day) >= 0), default=None)


def _grade(diagnosis: Mapping[str, Any]) -> str:
    grade = _word(diagnosis.get("tumor_grade"))
    if re.fullmatch(r"G[1-4]", grade):
        return grade
    return ROMAN.get(_word(diagnosis.get("who_cns_grade")).lower().removeprefix("grade "), "")


def _word(value: object) -> str:
    text = "" if value is None else str(value).strip()
    return "" if text.lower() in NOTHING else text


def _scaled(value: object, unit: float, digits: int) -> str:
    return "" if value is None else f"{round(float(str(value)) / unit, digits):g}"
