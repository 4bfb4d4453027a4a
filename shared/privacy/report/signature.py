"""A report signed by whoever signs the ledger, so that an edited figure is found."""

import json
from typing import Any

from shared.digests import sha256_json
from shared.privacy.ledger import KEY, Ledger
from shared.privacy.report.document import Report, Signature
from shared.privacy.signer import CommandSigner, KeyFile, Signer, fits
from shared.site import Site

__all__ = ["report_json", "signed", "signer_of", "verify_report"]

PREFIX = "mmfed-report-v1"


def report_json(report: Report) -> str:
    """The report as it is written: JSON in the order of its blocks."""
    return json.dumps(_content(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def signed(report: Report, signer: Signer) -> Report:
    """The same report with `signer`'s signature. Refused, LEDGER_FAILED, when it cannot sign."""
    unsigned = report.model_copy(update={"signature": None})
    sig = signer.sign(_message(_content(unsigned)))
    return unsigned.model_copy(update={"signature": Signature(key=signer.public_key.hex(), sig=sig.hex())})


def signer_of(ledger: Ledger, site: Site) -> Signer:
    """Who signs `ledger`: the key beside it, or the command of the site file."""
    own = ledger.file.parent / KEY
    return KeyFile(own) if own.exists() else CommandSigner(site.privacy.signer)


def verify_report(text: str, key: str | None = None) -> bool:
    """Whether the signature of a written report fits its content.

    Parameters
    ----------
    key
        Public key that must have signed, hex; None accepts the report's own word for whose it is.

    Raises
    ------
    ValueError
        `text` is no report of schema 1.
    """
    report = Report.model_validate_json(text)
    found = report.signature
    if found is None or (key is not None and found.key != key):
        return False
    try:
        public, sig = bytes.fromhex(found.key), bytes.fromhex(found.sig)
    except ValueError:
        return False
    return fits(public, sig, _message(json.loads(text)))


def _content(report: Report) -> dict[str, Any]:
    return report.model_dump(mode="json", by_alias=True)


def _message(content: dict[str, Any]) -> bytes:
    """What is signed: short, so that a command of another user need not read the report."""
    digest = sha256_json({name: value for name, value in content.items() if name != "signature"})
    return f"{PREFIX}|{content['provenance']['site']}|{digest}".encode()
