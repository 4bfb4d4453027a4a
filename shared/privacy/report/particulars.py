"""Blocks D, E, F, H, I and J: the pages for those who check the figures."""

from collections.abc import Iterator

from shared.privacy.report.document import EventRow, Mechanism, Report, StudyRecord
from shared.privacy.report.layout import Block, Bullets, Facts, Grid, Part, Text
from shared.privacy.report.sentences import figure, moment, rounded_up

__all__ = ["particulars"]

DASH = "–"
MOST_TENSORS = 60
"""So many names of tensors are printed; the JSON has all."""


def particulars(report: Report) -> Iterator[Block]:
    """The blocks after page 2, in order."""
    yield Block("D", "How", tuple(_how(report)))
    yield Block("E", "Numbers", tuple(_numbers(report)))
    yield Block("F", "Sites" if report.scope == "consortium" else "Events", tuple(_events(report)))
    yield Block("H", "Integrity", tuple(_integrity(report)))
    yield Block("I", "Audit", (Text(report.audit.text),))
    yield Block("J", "Provenance and record of processing", tuple(_provenance(report)))


def _how(report: Report) -> Iterator[Part]:
    if not report.mechanisms:
        yield Text("No training with noise was charged.")
    for used in report.mechanisms:
        yield Text(used.study, "heading")
        yield Facts(tuple(_terms(used)))
        yield from _sent(used)


def _terms(used: Mechanism) -> Iterator[tuple[str, str]]:
    limit = "" if used.epsilon is None else f", at most epsilon {figure(used.epsilon)} a run and hospital"
    rounds = "" if used.rounds is None else f", {used.rounds} rounds"
    yield "Mode", f"{used.mode}{limit}"
    yield "Clipping", f"norm C = {figure(used.clip)}: {used.clipping}"
    yield "Noise", f"Gaussian, sigma = {figure(used.sigma)}; standard deviation {figure(used.sigma * used.clip)} on every sum"
    yield "Noise source", used.noise_source
    yield "Sampling", f"q = {figure(used.sample_rate)}. {used.sampler}"
    yield "Steps", f"{used.steps_per_round} a round{rounds}"
    if used.denominator is not None:
        yield "Denominator", f"{figure(used.denominator)} patients, public, whatever was drawn"
    yield "Back-end", used.backend
    for frozen in used.extractors:
        sha = frozen.sha256 or "of the pinned package"
        yield f"Frozen encoder, {frozen.modality}", f"{frozen.name}, SHA-256 {sha}"


def _sent(used: Mechanism) -> Iterator[Part]:
    if not used.tensors:
        return
    count = sum(_size(shape) for shape in used.tensors.values())
    yield Text(f"Trained and sent with noise: {len(used.tensors)} tensors, {count:,} numbers. Nothing else of the model is.")
    names = [f"{name} {' × '.join(map(str, shape)) or '1'}" for name, shape in used.tensors.items()]
    left_out = len(names) - MOST_TENSORS
    more = f"; and {left_out} more, which the JSON names" if left_out > 0 else ""
    yield Text("; ".join(names[:MOST_TENSORS]) + more, "small")


def _size(shape: tuple[int, ...]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def _numbers(report: Report) -> Iterator[Part]:
    found = report.numbers
    yield Facts(
        (
            ("Accountant of record", found.accountant),
            ("Discretisation", f"{figure(found.discretisation)}, pessimistic"),
            ("Delta", DASH if found.delta is None else figure(found.delta)),
            ("With one more round", DASH if found.projected is None else rounded_up(found.projected)),
        )
    )
    if not found.events:
        yield Text("Nothing was charged, so there is nothing to add up.")
        return
    if report.verdict.word == "NOT PRIVATE":
        yield Text("NOT PRIVATE: these figures cover the charges alone. They limit nothing of what else left.", "lead")
    yield Grid(
        "Epsilon of everything charged" if report.scope == "site" else "Epsilon of the hospital that was charged most",
        ("Accountant", "Epsilon", "Reading"),
        (
            ("PLD, with or without a patient", rounded_up(found.pld), "of record"),
            ("PLD, one patient exchanged", rounded_up(found.pld_replace_one), "of record"),
            ("PRV (Opacus)", _or_dash(found.prv), "independent check; differs by at most 0.02"),
            ("RDP", _or_dash(found.rdp), "looser upper bound, for comparison"),
        ),
        (0.4, 0.15, 0.45),
        frozenset({1}),
    )
    yield Grid(
        "What was added up",
        ("q", "sigma", "Steps"),
        tuple((figure(e.sample_rate), figure(e.sigma), f"{e.steps:,}") for e in found.events),
        (0.34, 0.33, 0.33),
        frozenset({0, 1, 2}),
    )


def _or_dash(epsilon: float | None) -> str:
    return "not computed" if epsilon is None else rounded_up(epsilon)


def _events(report: Report) -> Iterator[Part]:
    if report.scope == "consortium":
        yield _sites(report)
    elif report.events:
        older = f", without {report.events_before:,} older ones, which the ledger lists" if report.events_before else ""
        yield Grid(
            f"Charges and refusals, times in UTC{older}",
            ("Entry", "Time", "Study", "Run", "Round", "Try", "Task, fold", "q", "sigma", "C", "Steps", "After", "Outcome"),
            tuple(_event(row) for row in report.events),
            (0.05, 0.1, 0.12, 0.07, 0.05, 0.035, 0.11, 0.055, 0.065, 0.045, 0.055, 0.06, 0.185),
            frozenset({0, 4, 5, 7, 8, 9, 10, 11}),
            small=True,
        )
        yield Text("After: epsilon of everything charged, this round included. A charge is never refunded.", "small")
    else:
        yield Text("No round was charged or refused.")
    if report.released:
        yield Grid(
            "Everything else that was sent",
            ("First", "Study", "Run", "What", "Mechanism", "Times", "Status"),
            tuple(
                (
                    moment(sent.first),
                    sent.study,
                    sent.run,
                    sent.what,
                    sent.mechanism,
                    str(sent.times),
                    f"{sent.status}, approved by {sent.approver or 'nobody'}" if sent.status != "charged" else "charged",
                )
                for sent in report.released
            ),
            (0.12, 0.14, 0.09, 0.32, 0.1, 0.06, 0.17),
            frozenset({5}),
            small=True,
        )


def _event(row: EventRow) -> tuple[str, ...]:
    return (
        str(row.seq),
        moment(row.time),
        row.study,
        row.run,
        _count(row.round),
        _count(row.attempt),
        ", ".join(part for part in (row.task, row.fold) if part),
        _constant(row.sample_rate),
        _constant(row.sigma),
        _constant(row.clip),
        _count(row.steps),
        DASH if row.epsilon_after is None else rounded_up(row.epsilon_after),
        row.outcome,
    )


def _count(value: int | None) -> str:
    return DASH if value is None else f"{value:,}"


def _constant(value: float | None) -> str:
    return DASH if value is None else f"{value:.4g}"


def _sites(report: Report) -> Grid:
    return Grid(
        "Every hospital of the run",
        ("Hospital", "Mode", "Rounds charged", "Epsilon", "exchanged", "Ledger head", "Refused"),
        tuple(
            (
                line.site,
                line.mode,
                str(line.charges),
                rounded_up(line.epsilon),
                rounded_up(line.epsilon_replace_one),
                line.head if line.head_seq is None else f"{line.head}: entry {line.head_seq}, {line.head_hash[:16]}",
                line.refused or DASH,
            )
            for line in report.sites
        ),
        (0.15, 0.1, 0.1, 0.1, 0.11, 0.25, 0.19),
        frozenset({2, 3, 4}),
        small=True,
    )


def _integrity(report: Report) -> Iterator[Part]:
    found = report.integrity
    checked = "" if found.entries is None else f": {found.entries:,} entries, {found.signatures:,} signatures checked"
    yield Facts(
        (
            ("Chain", ("it holds" if found.holds else "IT DOES NOT HOLD") + checked),
            ("Last signed head", DASH if found.head_seq is None else f"entry {found.head_seq}"),
            ("Key layout", found.key_layout),
            ("Countersignatures", found.countersigned),
            ("Charged, nothing sent", "not known" if found.unfinished is None else _unfinished(found.unfinished)),
            ("Refused", ", ".join(f"{code}: {n}" for code, n in found.refused.items()) or "none recorded"),
        )
    )
    hashes = [("Hash of the head", found.head_hash), ("Signature of the head", found.head_signature)]
    hashes += [("Public key of the ledger", found.key)]
    if report.signature:
        own = "the ledger's key" if report.signature.key == found.key else report.signature.key
        hashes += [("This report is signed by", own)]
    else:
        yield Text("This report is not signed.")
    yield Facts(tuple((name, value) for name, value in hashes if value), mono=True)
    if found.faults or found.warnings:
        yield Bullets((*(f"Fault: {line}" for line in found.faults), *(f"Warning: {line}" for line in found.warnings)))


def _unfinished(count: int) -> str:
    return f"{count} rounds (a crash, or a round still under way); the charge stands" if count else "none"


def _provenance(report: Report) -> Iterator[Part]:
    found = report.provenance
    rows = [("Site", f"{found.site}, {found.name}" if found.name else found.site)]
    if found.policy_date:
        rows.append(("Limit set", f"by {found.policy_approver}, {moment(found.policy_date)} UTC"))
    rows.append(("Software", ", ".join(f"{name} {version}" for name, version in found.software.items())))
    yield Facts(tuple(rows))
    yield Facts((("Code, SHA-256", found.code_sha256),), mono=True)
    for cohort in found.cohorts:
        rows = [("Cohort", f"store {cohort.store}, version {cohort.version}, {moment(cohort.time)} UTC")]
        rows += [("Patients", f"{cohort.bucket} in training; {cohort.excluded} withdrawn (buckets)")]
        yield Facts(tuple(rows))
        yield Facts((("Patients, SHA-256", cohort.keys_sha256), ("Features, SHA-256", cohort.manifest_sha256)), mono=True)
    yield Text("Record of processing activities (GDPR Article 30)", "heading")
    common = found.processing
    yield Facts((("Data subjects", common.subjects), ("Recipients", common.recipients), ("Third countries", common.transfers)))
    for study in found.studies:
        yield Text(f"Study {study.study}", "heading")
        yield Facts(tuple(_study(study)))
    yield Text("Security measures", "heading")
    yield Bullets(common.security, small=True)
    yield Text("To be completed by the controller", "heading")
    yield Bullets(tuple(f"{line}: ........................" for line in common.to_complete), small=True)


def _study(study: StudyRecord) -> Iterator[tuple[str, str]]:
    withdrawn = f"; WITHDRAWN {moment(study.revoked)} UTC" if study.revoked else ""
    yield "Approved", f"by {study.approver}, {moment(study.approved)} UTC{withdrawn}"
    yield "Noise", "none: NOT PRIVATE" if study.mode == "off" else study.mode
    yield "Purpose", study.purpose
    yield "Controller", study.controller
    yield "Contact", study.contact
    yield "Ethics reference", study.ethics_reference
    yield "Retention", study.retention
    yield "Personal data", "; ".join(study.data) or "not stated"
    if study.columns:
        yield "Own columns", ", ".join(f"{name} = {own}" for name, own in study.columns.items())
    yield "Digest", study.digest
