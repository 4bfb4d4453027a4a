"""The privacy budget report as JSON (schema 1): blocks A to J of one site, or of all sites of one run.

It is made from public constants and the ledger: no patient, no count below the small-cell limit, no path. An epsilon
that is null has no bound, or is not known where the ledger is broken.
"""

from typing import Literal

from pydantic import Field

from shared.documents import Document

__all__ = [
    "Adversary",
    "Audit",
    "Cohort",
    "EventRow",
    "EventTotal",
    "Extractor",
    "Integrity",
    "Meaning",
    "Mechanism",
    "NotCovered",
    "Numbers",
    "Processing",
    "Promise",
    "Provenance",
    "Release",
    "Report",
    "Signature",
    "SiteLine",
    "StudyRecord",
    "Uncovered",
    "Verdict",
    "Word",
]

Word = Literal["WITHIN CAP", "CAP REACHED", "NOT PRIVATE", "LEDGER BROKEN"]
Status = Literal["none sent", "charged", "UNACCOUNTED"]


class Verdict(Document):
    """Block A. `privacy`: "test" = noise from a known seed, "partly" = not in all studies, "none" = nothing ran yet."""

    word: Word
    privacy: Literal["on", "off", "test", "partly", "none", "unknown"]
    spent: float | None  # epsilon, add/remove one patient
    cap: float | None
    left: float | None
    delta: float | None
    study: str  # the current one, "" for none
    rounds_left: int | None  # rounds of the current study that still fit under the cap
    rounds_to_run: int | None  # rounds that its run still has
    worst: str
    sentences: tuple[str, ...]


class Meaning(Document):
    """Block B."""

    sentences: tuple[str, ...]


class Adversary(Document):
    """Somebody who wants to know, what that person sees, and the bound that holds against it."""

    code: str  # A1, A1+t, A2, A3, alone
    name: str
    sees: str
    epsilon: float | None
    epsilon_replace_one: float | None


class Promise(Document):
    """Block C."""

    unit: str
    neighbours: str
    mode: str
    epsilon: float | None  # with and without one patient
    epsilon_replace_one: float | None  # one patient exchanged for another
    epsilon_two_hospitals: float | None  # a person at two hospitals that both spend this much
    delta: float | None
    delta_reason: str
    adversaries: tuple[Adversary, ...]


class Extractor(Document):
    """A frozen encoder whose features enter the model; "" = built in, of the pinned package."""

    modality: str
    name: str
    sha256: str


class Mechanism(Document):
    """Block D, of one study."""

    study: str
    digest: str
    mode: str
    epsilon: float | None  # most that one run may cost a site
    clip: float  # C, norm to which the gradient of one patient is scaled down
    sigma: float  # noise multiplier: standard deviation of a step's noise is sigma * C
    sample_rate: float  # q
    steps_per_round: int
    rounds: int | None
    sampler: str
    noise_source: str
    clipping: str
    denominator: float | None  # public, whatever was drawn
    backend: str
    tensors: dict[str, tuple[int, ...]]  # trained and sent: name -> shape
    extractors: tuple[Extractor, ...]


class EventTotal(Document):
    """Equal steps added up."""

    sample_rate: float
    sigma: float
    steps: int


class Numbers(Document):
    """Block E. All at `delta`; prv and rdp are null where there is nothing to add up or they cannot be computed."""

    accountant: str
    discretisation: float
    delta: float | None
    events: tuple[EventTotal, ...]
    pld: float | None  # of record
    pld_replace_one: float | None
    prv: float | None
    rdp: float | None
    projected: float | None  # with one more round of the current study


class EventRow(Document):
    """One charge or refusal. What a refusal did not come to is null or empty."""

    seq: int  # entry of the ledger
    time: str
    study: str
    run: str
    round: int | None
    attempt: int | None
    task: str
    fold: str
    sample_rate: float | None
    sigma: float | None
    clip: float | None
    steps: int | None
    epsilon_after: float | None
    outcome: str  # charged | released | acknowledged | aborted: CODE | refused: CODE


class Release(Document):
    """Anything else that was sent, as often as `times`."""

    first: str
    study: str
    run: str
    what: str
    mechanism: str
    status: Status
    approver: str
    times: int


class Uncovered(Document):
    """One kind of release that the promise does not cover, or the statement that there was none."""

    what: str
    status: Status
    approver: str
    note: str


class NotCovered(Document):
    """Block G."""

    releases: tuple[Uncovered, ...]
    facts: tuple[str, ...]  # what no noise protects


class Integrity(Document):
    """Block H. `refused` counts refusals by code."""

    holds: bool
    entries: int | None
    signatures: int | None
    faults: tuple[str, ...]
    warnings: tuple[str, ...]
    head_seq: int | None
    head_hash: str
    head_signature: str
    key: str  # public, hex
    key_layout: str
    countersigned: str
    unfinished: int | None  # charges without a release: a crash or a break, never refunded
    refused: dict[str, int]


class Audit(Document):
    """Block I."""

    made: bool
    text: str


class StudyRecord(Document):
    """One approved study, with what a record of processing activities says of it."""

    study: str
    digest: str
    mode: str
    approver: str
    approved: str
    revoked: str
    purpose: str
    controller: str
    contact: str
    ethics_reference: str
    retention: str
    data: tuple[str, ...]  # categories of personal data
    columns: dict[str, str]  # the study's name -> the site's own


class Processing(Document):
    """What GDPR Article 30 wants on file, as far as the software can tell."""

    subjects: str
    recipients: str
    transfers: str
    security: tuple[str, ...]
    to_complete: tuple[str, ...]


class Cohort(Document):
    """The patients behind the figures, as buckets and hashes."""

    store: str
    version: int
    bucket: str
    excluded: str  # bucket of patients who were withdrawn
    keys_sha256: str
    manifest_sha256: str
    time: str


class Provenance(Document):
    """Block J."""

    site: str
    name: str
    cohorts: tuple[Cohort, ...]
    software: dict[str, str]
    code_sha256: str  # of the installed package `shared`
    policy_approver: str
    policy_date: str
    studies: tuple[StudyRecord, ...]
    processing: Processing


class SiteLine(Document):
    """One site of a consortium's run."""

    site: str
    bucket: str
    mode: str
    charges: int
    epsilon: float | None
    epsilon_replace_one: float | None
    head_seq: int | None
    head_hash: str
    head: Literal["verified", "NOT VERIFIED", "none"]
    refused: str


class Signature(Document):
    """Ed25519 over the canonical JSON of the report without this section (shared/privacy/report/signature.py)."""

    key: str
    sig: str


class Report(Document):
    """A privacy budget report."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    scope: Literal["site", "consortium"]
    title: str  # whose report it is
    created: str  # UTC, ISO 8601
    verdict: Verdict
    meaning: Meaning
    promise: Promise
    mechanisms: tuple[Mechanism, ...]
    numbers: Numbers
    events: tuple[EventRow, ...]
    events_before: int  # older ones, which only the ledger lists
    sites: tuple[SiteLine, ...]
    released: tuple[Release, ...]
    not_covered: NotCovered
    integrity: Integrity
    audit: Audit
    provenance: Provenance
    signature: Signature | None = None
