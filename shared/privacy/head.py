"""The signed end of a site's ledger: the one part of it that leaves the site."""

import json
import re
from dataclasses import asdict, dataclass

from shared.digests import canonical_json
from shared.privacy.signer import fits

__all__ = ["Head", "head_message"]

HASH = re.compile("[0-9a-f]{64}")
SIGNATURE = re.compile("[0-9a-f]{128}")
MOST_CHARACTERS = 2000


def head_message(site: str, seq: int, hash_: str, parent: str) -> bytes:
    """What a signature in a ledger covers: by its hash, the entry and all before it."""
    return f"mmfed-head-v1|{site}|{seq}|{hash_}|{parent}".encode()


@dataclass(frozen=True)
class Head:
    """Entry `seq` of the ledger of `site`, signed: a coordinator keeps it and sends it back with its next order.

    Two genuine heads with one `parent` were signed by two copies of one ledger.
    """

    site: str
    seq: int  # from 1
    hash: str  # of the entry, hex
    parent: str  # hash of the `head` entry before it, "" for the first
    key: str  # public Ed25519 key, hex
    sig: str  # hex

    def text(self) -> str:
        """Canonical JSON, the form in which it travels."""
        return canonical_json(asdict(self))

    @classmethod
    def parse(cls, text: str) -> "Head":
        """From `text()`; ValueError for anything that does not have its form. It may still be forged: see `genuine`."""
        try:
            told = json.loads(text) if len(text) <= MOST_CHARACTERS else None
        except RecursionError as exc:
            raise ValueError("expected a ledger head, got JSON nested without end") from exc
        if not isinstance(told, dict) or told.keys() != cls.__dataclass_fields__.keys():
            raise ValueError(f"expected a ledger head with {', '.join(cls.__dataclass_fields__)}, got something else")
        seq = told.pop("seq")
        if type(seq) is not int or seq < 1 or not all(isinstance(value, str) for value in told.values()):
            raise ValueError("expected a ledger head of text and a number from 1, got other values")
        head = cls(seq=seq, **told)
        if not (
            head.site
            and "|" not in head.site
            and HASH.fullmatch(head.hash)
            and (not head.parent or HASH.fullmatch(head.parent))
            and HASH.fullmatch(head.key)
            and SIGNATURE.fullmatch(head.sig)
        ):
            raise ValueError("expected a ledger head of hex digits in lower case, got other text")
        return head

    def genuine(self) -> bool:
        """Whether the signature fits the key and everything that it covers. Whose key that is, it cannot tell."""
        message = head_message(self.site, self.seq, self.hash, self.parent)
        return fits(bytes.fromhex(self.key), bytes.fromhex(self.sig), message)
