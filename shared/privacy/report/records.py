"""Blocks H, I and J: whether the record holds, and what has to be filed."""

from collections.abc import Iterator

from shared.privacy.report.document import Report, StudyRecord
from shared.privacy.report.layout import Block, Bullets, Facts, Part, Text
from shared.privacy.report.not_known import NOT_KNOWN, unknown
from shared.privacy.report.sentences import moment

__all__ = ["records"]

DASH = "–"


def records(report: Report) -> Iterator[Block]:
    """The last blocks, in order."""
    yield Block("H", "Integrity", tuple(_integrity(report)))
    yield Block("I", "Audit", (Text(report.audit.text),))
    yield Block("J", "Provenance and record of processing", tuple(_provenance(report)))


def _integrity(report: Report) -> Iterator[Part]:
    found, one = report.integrity, report.scope == "site"
    checked = "" if found.entries is None else f": {found.entries:,} entries, {found.signatures:,} signatures checked"
    refusals = ", ".join(f"{code}: {n}" if one else code for code, n in found.refused.items())
    rows = [("Chain", ("it holds" if found.holds else "IT DOES NOT HOLD") + checked)]
    if not one:
        rows = [("Heads", "verified wherever a hospital was charged" if found.holds else "NOT VERIFIED everywhere")]
    if one:
        rows.append(("Last signed head", DASH if found.head_seq is None else f"entry {found.head_seq}"))
        rows.append(("Charged, nothing sent", NOT_KNOWN if found.unfinished is None else _unfinished(found.unfinished)))
    rows += [("Key layout", found.key_layout), ("Countersignatures", found.countersigned)]
    rows += [("Refused", NOT_KNOWN if unknown(report) else refusals or "none recorded")]
    yield Facts(tuple(rows))
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
    rounds = "1 round" if count == 1 else f"{count} rounds"
    return f"{rounds} (a crash, or still under way); what was charged stands" if count else "none"


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
        yield Facts(
            (("Patients, SHA-256", cohort.keys_sha256), ("Features, SHA-256", cohort.manifest_sha256)), mono=True
        )
    yield Text("Record of processing activities (GDPR Article 30)", "heading")
    common = found.processing
    yield Facts(
        (("Data subjects", common.subjects), ("Recipients", common.recipients), ("Third countries", common.transfers))
    )
    for study in found.studies:
        yield Text(f"Study {study.study}", "heading")
        yield Facts(tuple(_study(study)))
    yield Text("Security measures", "heading")
    yield Bullets(common.security, small=True)
    yield Text("To be completed by the controller", "heading")
    yield Bullets(tuple(f"{line}: ........................" for line in common.to_complete), small=True)


def _study(study: StudyRecord) -> Iterator[tuple[str, str]]:
    withdrawn = f"; WITHDRAWN {moment(study.revoked)} UTC" if study.revoked else ""
    when = f", {moment(study.approved)} UTC" if study.approved else ""
    yield "Approved", f"by {study.approver}{when}{withdrawn}"
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
