"""One run over all its hospitals."""

from dataclasses import replace
from io import BytesIO

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pypdf import PdfReader

from shared.privacy.report import RunFacts, SiteRow, consortium_report, report_json, verify_report
from shared.privacy.report.html import render_html
from shared.privacy.report.pdf import render_pdf
from tests.federation import tiny_study
from tests.private_studies import private_study
from tests.shared.privacy.report.ledgers import GOVERNANCE, gaussian_epsilon

NOISE = {"sample_rate": 1.0, "sigma": 10.0, "steps_per_round": 1, "epsilon": 1.0}
STUDY = private_study(rounds=4, privacy=NOISE, governance=GOVERNANCE)
SHOWN = {"head_seq": 9, "head_hash": "a" * 64, "head_verified": True}
A, B = SiteRow("A", charges=4, bucket="50-99", scored=True, **SHOWN), SiteRow("B", charges=2, **SHOWN)


def run(*rows: SiteRow, **changes: object) -> RunFacts:
    facts = RunFacts("tiny-71", STUDY, rows or (A, B), {"fusion.head.weight": (3, 8)})
    return replace(facts, **changes)  # type: ignore[arg-type]


def test_the_hospital_that_was_charged_most_decides() -> None:
    report = consortium_report(run())
    assert (report.verdict.word, report.verdict.cap) == ("WITHIN CAP", 1.0)
    assert report.verdict.spent == pytest.approx(gaussian_epsilon(10 / 2), abs=0.002)
    shown = {line.site: line.epsilon for line in report.sites}
    assert shown["B"] == pytest.approx(gaussian_epsilon(10 / 2**0.5), abs=0.002)


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ((A, replace(B, head_verified=False)), "LEDGER BROKEN"),
        ((A, replace(B, head_seq=0, head_hash="", head_verified=False)), "LEDGER BROKEN"),
        ((A, SiteRow("C", refused="LEDGER_ROLLED_BACK")), "LEDGER BROKEN"),
        ((A, SiteRow("C", refused="BUDGET_EXCEEDED")), "CAP REACHED"),
        ((A, SiteRow("C", refused="NOT_APPROVED")), "WITHIN CAP"),
        ((replace(A, charges=40),), "CAP REACHED"),
    ],
)
def test_one_hospital_is_enough_to_change_the_verdict(rows: tuple[SiteRow, ...], word: str) -> None:
    assert consortium_report(run(*rows)).verdict.word == word


def test_a_run_without_noise_is_not_private_and_says_what_came() -> None:
    report = consortium_report(run(SiteRow("A"), SiteRow("B"), study=tiny_study()))
    assert (report.verdict.word, report.verdict.privacy) == ("NOT PRIVATE", "off")
    assert report.mechanisms == ()
    bare = {row.what for row in report.not_covered.releases if row.status == "UNACCOUNTED"}
    assert {"Model updates without noise", "Loss curves", "Normalisation means of genes"} <= bare


def test_noise_from_a_known_seed_is_not_private() -> None:
    study = private_study(privacy={"noise_source": "test-seeded"})
    report = consortium_report(run(study=study))
    assert (report.verdict.word, report.verdict.privacy) == ("NOT PRIVATE", "test")
    assert {line.epsilon for line in report.sites} == {None}


def test_statistics_of_the_closing_wave_are_told_when_they_came() -> None:
    def status(*rows: SiteRow) -> str:
        return consortium_report(run(*rows)).not_covered.releases[1].status

    assert (status(A, B), status(B)) == ("UNACCOUNTED", "none sent")


def test_it_is_signed_when_the_coordinator_has_a_key() -> None:
    class Signer:
        def __init__(self) -> None:
            self.key = Ed25519PrivateKey.generate()
            self.public_key = self.key.public_key().public_bytes_raw()

        def sign(self, message: bytes) -> bytes:
            return self.key.sign(message)

    signer = Signer()
    assert verify_report(report_json(consortium_report(run(), signer=signer)), signer.public_key.hex())
    assert not verify_report(report_json(consortium_report(run())))


def test_it_is_printed_with_every_hospital() -> None:
    report = consortium_report(run(A, B, SiteRow("D", refused="NOT_APPROVED")))
    text = " ".join(" ".join(page.extract_text().split()) for page in PdfReader(BytesIO(render_pdf(report))).pages)
    for words in ("Run tiny-71", "F Hospitals", "verified: entry 9", "NOT_APPROVED (D)", "This report is not signed."):
        assert words in text
    assert '<section id="J">' in render_html(report)
