"""The privacy budget report of one run over all its hospitals, as the coordinator can know it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.privacy.accounting import epsilon
from shared.privacy.events import Event
from shared.privacy.report.document import Integrity, Mechanism, NotCovered, Provenance, Release, Report, SiteLine
from shared.privacy.report.integrity import audit_of
from shared.privacy.report.mechanism import CLIPPING, SAMPLERS, SOURCES, extractors, numbers_of
from shared.privacy.report.promise import finite, meaning, promise
from shared.privacy.report.provenance import code_sha256, processing, software, study_record
from shared.privacy.report.run_verdict import run_verdict
from shared.privacy.report.signature import signed
from shared.privacy.report.uncovered import FACTS, uncovered_rows
from shared.privacy.signer import Signer
from shared.study import Study

__all__ = ["RunFacts", "SiteRow", "consortium_report"]

EACH = "each hospital"
SIZES = "size buckets of the training patients of each modality"
PLAIN = "plain model updates, patient counts, losses and test statistics of every round"
SCORES = "statistics of the final model on held-out test patients"
SUMS = "gene sums for normalisation"


@dataclass(frozen=True)
class SiteRow:
    """What the coordinator knows of one hospital in one run."""

    site: str
    charges: int = 0  # how often the run was charged there, as the site has told
    bucket: str = ""  # published size
    head_seq: int = 0  # of the last ledger head it has shown, 0 = none
    head_hash: str = ""
    head_verified: bool = False  # genuine, of the key it has always used, and after all earlier ones
    scored: bool = False  # closing test statistics came
    refused: str = ""  # code of shared/messages.py, "" when it took part


@dataclass(frozen=True)
class RunFacts:
    """One run, finished or not."""

    run: str  # name of the run folder
    study: Study
    sites: tuple[SiteRow, ...]
    tensors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # of the model that travels: name -> shape
    least: int = 10  # fewest patients about whom a hospital tells anything

    @property
    def mode(self) -> str:
        """local, off or test."""
        terms = self.study.terms
        return "off" if terms is None else "local" if terms.formal else "test"

    def event(self, charges: int) -> tuple[Event, ...]:
        """What a hospital that was charged so often has released; nothing without privacy."""
        once = self.study.terms.round if self.study.terms else None
        return (Event(once.sample_rate, once.sigma, once.steps * charges),) if once and charges else ()


def consortium_report(run: RunFacts, *, signer: Signer | None = None, now: datetime | None = None) -> Report:
    """The report of this run alone: what a hospital has spent elsewhere only its own report knows.

    Parameters
    ----------
    signer
        A key of the coordinator's; None leaves the report unsigned, and it says so.
    """
    terms = run.study.terms
    delta = terms.delta if terms else None
    events = run.event(max((row.charges for row in run.sites), default=0))
    lines = tuple(_line(run, row) for row in run.sites)
    verdict = run_verdict(run.study, run.mode, lines, epsilon(events, delta) if delta else None)
    bounded = verdict.word in ("WITHIN CAP", "CAP REACHED")
    report = Report(
        scope="consortium",
        title=f"Run {run.run}",
        created=(now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds"),
        verdict=verdict,
        meaning=meaning(verdict),
        promise=promise(events, delta, mode=run.mode, bounded=bounded),
        mechanisms=tuple(_mechanism(run)),
        numbers=numbers_of(events, delta, terms.round if terms else None),
        events=(),
        events_before=0,
        sites=lines,
        released=(),
        not_covered=NotCovered(releases=uncovered_rows(tuple(_releases(run))), facts=FACTS),
        integrity=_integrity(lines),
        audit=audit_of(verdict.spent, delta),
        provenance=_provenance(run),
    )
    return signed(report, signer) if signer else report


def _line(run: RunFacts, row: SiteRow) -> SiteLine:
    events, terms = run.event(row.charges), run.study.terms
    known = terms if run.mode == "local" else None
    return SiteLine(
        site=row.site,
        bucket=row.bucket,
        mode=run.mode,
        charges=row.charges,
        epsilon=finite(epsilon(events, known.delta)) if known else None,
        epsilon_replace_one=finite(epsilon(events, known.delta, "replace_one")) if known else None,
        head_seq=row.head_seq or None,
        head_hash=row.head_hash,
        head="none" if not row.head_seq else "verified" if row.head_verified else "NOT VERIFIED",
        refused=row.refused,
    )


def _mechanism(run: RunFacts) -> Iterator[Mechanism]:
    terms = run.study.terms
    if terms is None:
        return
    yield Mechanism(
        study=run.study.name,
        digest=run.study.digest,
        mode=terms.mode,
        epsilon=terms.epsilon,
        clip=terms.clip,
        sigma=terms.sigma,
        sample_rate=terms.sample_rate,
        steps_per_round=terms.steps_per_round,
        rounds=terms.rounds,
        sampler=SAMPLERS["poisson"],
        noise_source=SOURCES[terms.noise_source],
        clipping=CLIPPING,
        denominator=terms.expected_batch,
        backend=terms.backend,
        tensors={name: tuple(shape) for name, shape in sorted(run.tensors.items())},
        extractors=tuple(extractors(run.study.content())),
    )


def _releases(run: RunFacts) -> Iterator[Release]:
    """What came beside noisy updates."""
    took_part = [row for row in run.sites if not row.refused]
    expression = run.study.modalities.expression
    found = [SIZES] if run.mode != "off" else [PLAIN]
    found += [SUMS] if expression and expression.normalise == "federated" else []
    found += [SCORES] if any(row.scored for row in took_part) else []
    for what in found if took_part else ():
        yield Release(
            first="",
            study=run.study.name,
            run=run.run,
            what=what,
            mechanism="none",
            status="UNACCOUNTED",
            approver=EACH,
            times=len(took_part),
        )


def _integrity(lines: tuple[SiteLine, ...]) -> Integrity:
    shown = [line for line in lines if line.head != "none"]
    verified = [line for line in shown if line.head == "verified"]
    unproved = [line for line in lines if line.charges and line.head != "verified"]
    return Integrity(
        holds=not unproved,
        entries=None,
        signatures=None,
        faults=tuple(f"{line.site}: no verified ledger head behind its {line.charges} charges" for line in unproved),
        warnings=(),
        head_seq=None,
        head_hash="",
        head_signature="",
        key="",
        key_layout="each hospital's own: see its report",
        countersigned=f"{len(verified)} of {len(shown)} ledger heads that hospitals have shown were verified",
        unfinished=None,
        refused={f"{line.refused} ({line.site})": 1 for line in lines if line.refused},
    )


def _provenance(run: RunFacts) -> Provenance:
    study, stated = run.study, run.study.governance
    record = study_record(
        study.content(),
        stated.model_dump() if stated else None,
        name=study.name,
        digest=study.digest,
        mode=study.privacy.mode,
        approver=EACH,
    )
    return Provenance(
        site="consortium",
        name="",
        cohorts=(),
        software=software(),
        code_sha256=code_sha256(),
        policy_approver="",
        policy_date="",
        studies=(record,),
        processing=processing(None, run.least, "the hospitals of this run"),
    )
