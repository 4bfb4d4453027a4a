"""Block J: whose data, which software, which approvals, and what a record of processing activities must say."""

import platform
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import shared
from shared.digests import sha256_file, sha256_json
from shared.privacy.ledger import Entry
from shared.privacy.report.document import Cohort, Processing, Provenance, StudyRecord
from shared.privacy.report.history import History
from shared.site import Site

__all__ = ["code_sha256", "data_categories", "processing", "provenance_of", "software"]

PACKAGES = ("torch", "opacus", "dp-accounting", "flwr", "cryptography", "numpy")
NOT_STATED = "not stated"
GOVERNANCE = ("purpose", "controller", "contact", "ethics_reference", "retention")
SECURITY = (
    "Patient rows, images, slides and identifiers never leave the hospital; trained numbers of a model do.",
    "Patients are named by keyed hashes (HMAC-SHA256, key of the site) in every file that mmfed writes.",
    "Transport: TLS to the coordinator, every message signed by the site's own key, no incoming connection.",
    "A study runs only if a person of this hospital approved exactly its content (by digest).",
    "The coordinator's software is pinned: no code of others is run here.",
    "Every use of privacy budget is charged, before a patient is read, in a signed and chained ledger.",
    "Of an error only a fixed code leaves.",
)
TO_COMPLETE = (
    "Legal basis (GDPR Articles 6 and 9) and, if any, consent",
    "Joint controllers, representative and data protection officer, with contact",
    "The coordinator's legal name and place, and contracts with it",
    "Transfers to third countries and their safeguards",
    "Retention of the source data in the hospital's own systems",
)


def provenance_of(history: History, site: Site) -> Provenance:
    """Block J of a site."""
    policy = history.last("policy")
    cohorts = {(e.body["cohort"], e.body["version"]): e for e in history.all("cohort")}
    return Provenance(
        site=site.id,
        name=site.site.name,
        cohorts=tuple(_cohort(entry) for entry in cohorts.values()),
        software=software(),
        code_sha256=code_sha256(),
        policy_approver=str(policy.body["approver"]) if policy else "",
        policy_date=str(policy.body["ts"]) if policy else "",
        studies=tuple(_study(entry, history) for entry in history.approvals),
        processing=processing(history, site.disclosure.min_patients),
    )


def processing(history: History | None, least: int) -> Processing:
    """What is the same for every study.

    Parameters
    ----------
    least
        Smallest number of patients about whom a site tells anything.
    """
    sizes = sorted({str(entry.body["bucket"]) for entry in history.all("cohort")}) if history else []
    ever = bool(history and history.ran)
    return Processing(
        subjects="Patients of this hospital who have the label of a study"
        + (f" ({' and '.join(sizes)} of them)" if sizes else ""),
        recipients="The coordinator of each study; the other hospitals and whoever gets the final model receive what "
        "it makes of the updates of all." + ("" if ever else " Nothing was sent so far."),
        transfers="not known to the software; to be completed below",
        security=(*SECURITY, f"Nothing is told about fewer than {least} patients."),
        to_complete=TO_COMPLETE,
    )


def software() -> dict[str, str]:
    """Package -> version, mmfed first."""
    found = {"mmfed": shared.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


@lru_cache(maxsize=1)
def code_sha256() -> str:
    """SHA-256 over the installed package `shared`, which holds everything that makes or counts noise."""
    folder = Path(shared.__file__).parent
    files = sorted(folder.rglob("*.py"))
    return sha256_json({file.relative_to(folder).as_posix(): sha256_file(file) for file in files})


def data_categories(study: Mapping[str, Any]) -> Iterator[str]:
    """Categories of personal data that a study reads."""
    use = {name: found for name, found in study.get("modalities", {}).items() if found}
    tasks = [study.get("task") or {}, *(head["task"] for head in study.get("heads", ()))]
    labels = [task[key] for task in tasks for key in ("column", "time_column", "event_column") if task.get(key)]
    if labels:
        yield f"health data: {', '.join(dict.fromkeys(labels))}"
    if any(task.get("kind") == "detection" for task in tasks):
        yield "health data: boxes of lesions"
    if "slides" in use:
        yield "health data: microscopy slides, as numbers made by a frozen encoder"
    if "expression" in use:
        aux = [name.replace("_", " ") for name in use["expression"].get("aux", ())]
        yield f"genetic data: {', '.join(['gene expression', *aux])}"
    if "blood" in use:
        yield "health data: laboratory results"
    if "imaging" in use:
        yield "health data: clinical images"
    if "clinical" in use:
        yield f"clinical data: {', '.join(use['clinical'].get('columns', ())).replace('_', ' ')}"


def _study(entry: Entry, history: History) -> StudyRecord:
    body, gone = entry.body, history.revoked.get(entry.seq)
    stated = body["governance"] or {}
    return StudyRecord(
        study=history.name(str(body["digest"])),
        digest=str(body["digest"]),
        mode=str(body["mode"]),
        approver=str(body["person"]),
        approved=str(body["ts"]),
        revoked=str(gone.body["ts"]) if gone else "",
        data=tuple(data_categories(body["study"])),
        columns={str(name): str(own) for name, own in body["mappings"]["columns"].items()},
        **{key: str(stated.get(key) or NOT_STATED) for key in GOVERNANCE},
    )


def _cohort(entry: Entry) -> Cohort:
    body = entry.body
    return Cohort(
        store=str(body["cohort"]),
        version=int(body["version"]),
        bucket=str(body["bucket"]),
        excluded=str(body["excluded"]),
        keys_sha256=str(body["keys_sha256"]),
        manifest_sha256=str(body["manifest_sha256"]),
        time=str(body["ts"]),
    )
