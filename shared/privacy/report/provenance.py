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

__all__ = [
    "HERE",
    "SIMULATION",
    "code_sha256",
    "data_categories",
    "processing",
    "provenance_of",
    "software",
    "study_record",
]

PACKAGES = ("torch", "opacus", "dp-accounting", "flwr", "cryptography", "numpy")
NOT_STATED = "not stated"
HERE = "this hospital"
SIMULATION = "simulation"
"""Who approves, and sets the cap, in a simulation."""
ONE_MACHINE = "This was a simulation: every hospital ran on one machine. What follows is what a real one has."
GOVERNANCE = ("purpose", "controller", "contact", "ethics_reference", "retention")
HEALTH = {
    "slides": "microscopy slides (as numbers that a frozen encoder makes of them)",
    "blood": "laboratory results",
    "imaging": "clinical images",
}
SECURITY = (
    "Patient rows, images, slides and identifiers never leave the hospital; trained numbers of a model do.",
    "Logs, messages and this ledger hold no identifier of a patient, at most keyed hashes (HMAC-SHA256, site's key).",
    "Transport: TLS to the coordinator, every message signed by the site's own key, no incoming connection.",
    "A study runs only if a person of this hospital approved exactly its content (by digest).",
    "Only software that this hospital has installed is run; the coordinator sends settings and numbers.",
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
        studies=tuple(_approved(entry, history) for entry in history.approvals),
        processing=processing(history, site.disclosure.min_patients, HERE),
    )


def processing(history: History | None, least: int, where: str) -> Processing:
    """What is the same for every study.

    Parameters
    ----------
    history
        None where it is not known what was sent.
    least
        Smallest number of patients about whom a site tells anything.
    where
        Whose patients, such as HERE.
    """
    sizes = sorted({str(entry.body["bucket"]) for entry in history.all("cohort")}) if history else []
    unsent = " Nothing was sent so far." if history and not history.ran else ""
    policy = history.last("policy") if history else None
    simulated = policy is not None and policy.body["approver"] == SIMULATION
    return Processing(
        subjects=f"Patients of {where} who have the label of a study"
        + (f" ({' and '.join(sizes)} of them)" if sizes else ""),
        recipients="The coordinator of each study; the other hospitals and whoever gets the final model receive what "
        f"it makes of the updates of all.{unsent}",
        transfers="not known to the software; to be completed below",
        security=(
            *((ONE_MACHINE,) if simulated else ()),
            *SECURITY,
            f"Nothing is told about fewer than {least} patients.",
        ),
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
    """Categories of personal data that a study reads; the first two are special ones (GDPR Article 9)."""
    use = {name: found for name, found in study.get("modalities", {}).items() if found}
    tasks = [study.get("task") or {}, *(head["task"] for head in study.get("heads", ()))]
    health = [str(task[key]) for task in tasks for key in ("column", "time_column", "event_column") if task.get(key)]
    health += ["boxes of lesions"] if any(task.get("kind") == "detection" for task in tasks) else []
    health += [words for name, words in HEALTH.items() if name in use]
    yield f"health data: {', '.join(dict.fromkeys(health))}"
    if "expression" in use:
        aux = [name.replace("_", " ") for name in use["expression"].get("aux", ())]
        yield f"genetic data: {', '.join(['gene expression', *aux])}"
    if "clinical" in use:
        yield f"clinical data: {', '.join(use['clinical'].get('columns', ()))}".replace("_", " ")


def study_record(
    content: Mapping[str, Any],
    governance: Mapping[str, Any] | None,
    *,
    name: str,
    digest: str,
    mode: str,
    approver: str,
    approved: str = "",
    revoked: str = "",
    columns: Mapping[str, str] | None = None,
) -> StudyRecord:
    """What is on file of one study, from its content and its governance lines."""
    stated = governance or {}
    return StudyRecord(
        study=name,
        digest=digest,
        mode=mode,
        approver=approver,
        approved=approved,
        revoked=revoked,
        data=tuple(data_categories(content)),
        columns=dict(columns or {}),
        **{key: str(stated.get(key) or NOT_STATED) for key in GOVERNANCE},
    )


def _approved(entry: Entry, history: History) -> StudyRecord:
    body, gone = entry.body, history.revoked.get(entry.seq)
    return study_record(
        body["study"],
        body["governance"],
        name=history.name(str(body["digest"])),
        digest=str(body["digest"]),
        mode=str(body["mode"]),
        approver=str(body["person"]),
        approved=str(body["ts"]),
        revoked=str(gone.body["ts"]) if gone else "",
        columns={str(name): str(own) for name, own in body["mappings"]["columns"].items()},
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
