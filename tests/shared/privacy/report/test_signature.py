"""A report that was edited is found out."""

import json
import sys
from pathlib import Path

import pytest

from shared.privacy.budget import Budget, Policy
from shared.privacy.ledger import Ledger
from shared.privacy.report import Report, report_json, site_report, verify_report
from shared.privacy.signer import CommandSigner, KeyFile
from shared.site import Site
from tests.shared.privacy.report import ledgers


def test_a_written_report_holds_under_the_ledgers_key(report: Report, used: tuple[Site, Budget]) -> None:
    text = report_json(report)
    assert verify_report(text)
    assert verify_report(text, used[1].ledger.public_key.hex())
    assert not verify_report(text, "0" * 64)


def test_another_layout_of_the_same_json_holds(report: Report) -> None:
    assert verify_report(json.dumps(json.loads(report_json(report)), sort_keys=True))


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content["verdict"].update(spent=0.1),
        lambda content: content["provenance"].update(site="B"),
        lambda content: content["events"].pop(),
        lambda content: content["signature"].update(sig="0" * 128),
        lambda content: content["signature"].update(sig="no hex"),
        lambda content: content.update(signature=None),
    ],
)
def test_an_edited_report_fails(report: Report, edit: object) -> None:
    content = json.loads(report_json(report))
    edit(content)  # type: ignore[operator]
    assert not verify_report(json.dumps(content))


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 2}'])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Report"):
        verify_report(text)


def test_a_report_is_read_back_as_it_was_written(report: Report) -> None:
    assert Report.model_validate_json(report_json(report)) == report


def test_the_key_of_another_user_signs_reports_too(tmp_path: Path) -> None:
    key, program = tmp_path / "other" / "ledger.key", tmp_path / "signer.py"
    key.parent.mkdir()
    program.write_text(
        "import sys\nfrom pathlib import Path\nfrom shared.privacy.signer import KeyFile\n"
        f"key = KeyFile.make(Path({str(key)!r}))\n"
        "if sys.argv[1] == 'public-key':\n    print(key.public_key.hex())\n"
        "else:\n    sys.stdout.buffer.write(key.sign(sys.stdin.buffer.read()))\n"
    )
    command = f'["{sys.executable}", "{program}"]'
    site = ledgers.site_of(tmp_path / "site", f"[privacy]\nsigner = {command}\n")
    ledger = Ledger.open(site.state / "privacy", site.id, signer=CommandSigner(site.privacy.signer))
    Budget(ledger, Policy(8.0, 1e-5, "M. Keller"))
    report = site_report(ledger, site)
    assert verify_report(report_json(report), KeyFile(key).public_key.hex())
    assert report.integrity.key_layout.startswith("two users")
