"""What a walk along the chain finds, entry by entry."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.digests import canonical_json
from shared.privacy.chain import GENESIS, SIGNED, Chain, Row, Verification, entry_hash
from shared.privacy.head import head_message

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
KINDS = ("policy", "charge", "head", "released", "charge", "approval", "head", "acked")


def chained(kinds: tuple[str, ...] = KINDS, key: Ed25519PrivateKey = KEY, site: str = "A") -> list[Row]:
    rows: list[Row] = []
    prev, parent = GENESIS, ""
    for seq, kind in enumerate(kinds, 1):
        body = {"kind": kind, "ts": f"2026-01-31T10:00:{seq:02}+00:00"}
        body |= {"site": site} if kind == "policy" else {}
        body |= {"parent": parent} if kind == "head" else {}
        text = canonical_json(body)
        hash_ = entry_hash(seq, prev, text)
        sig = key.sign(head_message(site, seq, hash_, parent)) if kind in SIGNED else None
        rows.append(Row(seq, text, prev, hash_, sig))
        prev, parent = hash_, hash_ if kind == "head" else parent
    return rows


def found(rows: list[Row], site: str = "A") -> Verification:
    chain = Chain(site, PUBLIC)
    for row in rows:
        chain.take(row)
    return chain.verification()


def only_fault(rows: list[Row]) -> str:
    (fault,) = found(rows).faults
    return fault


def changed(rows: list[Row], seq: int, **fields: object) -> list[Row]:
    return [row._replace(**fields) if row.seq == seq else row for row in rows]  # type: ignore[arg-type]


def test_the_hash_of_an_entry_is_the_sha256_worked_out_by_hand() -> None:
    body = canonical_json(
        {"what": "bound 1.5, größer", "kind": "audit", "ts": "2026-01-31T10:00:00+00:00", "software": "mmfed 0.1.0"}
    )
    # printf 'mmfed-ledger-v1|1|0000...0000|{"kind":"audit","software":...,"what":"bound 1.5, größer"}' | sha256sum
    assert entry_hash(1, "0" * 64, body) == "14434d4c6061015f64d8efe27ff062b1d3ffde5dc27fe202da12a4ddb3136b80"


def test_a_whole_chain_has_no_fault() -> None:
    rows = chained()
    walk = found(rows)
    assert (walk.entries, walk.signatures, walk.faults, walk.warnings) == (8, 4, (), ())
    assert walk.head is not None
    assert (walk.head.seq, walk.head.hash, walk.head.parent) == (7, rows[6].hash, rows[2].hash)
    assert walk.head.genuine()
    assert walk.lines()[0] == "the ledger holds: 8 entries, 4 signatures checked"


@pytest.mark.parametrize("seq", range(1, 9))
def test_an_edited_entry_is_found_where_it_is(seq: int) -> None:
    rows = chained()
    edited = rows[seq - 1].body.replace("10:00:0", "11:00:0", 1)
    faults = found(changed(rows, seq, body=edited)).faults
    assert faults == (f"entry {seq}: its content does not have its hash: it was changed",)


def test_an_entry_written_anew_with_its_own_hash_is_betrayed_by_the_next() -> None:
    rows = chained()
    body = rows[3].body.replace("released", "revoked")
    forged = changed(rows, 4, body=body, hash=entry_hash(4, rows[3].prev, body))
    assert only_fault(forged) == "entry 5: it was written after another entry 4 than the one there now"


def test_a_tail_written_anew_is_betrayed_by_the_next_signature() -> None:
    rows = chained()
    prev, forged = rows[3].prev, rows[:3]
    for row in rows[3:]:
        body = row.body.replace("released", "revoked")
        forged.append(row._replace(body=body, prev=prev, hash=entry_hash(row.seq, prev, body)))
        prev = forged[-1].hash
    faults = found(forged).faults
    assert faults[0] == "entry 6: its signature was not made by the key of this ledger"


def test_missing_entries_are_found() -> None:
    rows = chained()
    assert only_fault(rows[:3] + rows[5:]) == "entry 6: expected entry 4 after 3: entries are missing"
    assert only_fault(rows[1:]) == "entry 2: expected entry 1 after 0: entries are missing"


def test_a_cut_tail_is_a_whole_chain() -> None:
    assert found(chained()[:5]).faults == ()


@pytest.mark.parametrize("seq", [1, 3, 6])
def test_policies_heads_and_approvals_must_be_signed(seq: int) -> None:
    kind = KINDS[seq - 1]
    assert (
        only_fault(changed(chained(), seq, sig=None))
        == f"entry {seq}: expected a signature on a {kind} entry, got none"
    )
    wrong = f"entry {seq}: its signature was not made by the key of this ledger"
    assert only_fault(changed(chained(), seq, sig=b"s" * 64)) == wrong
    assert only_fault(changed(chained(), seq, sig=b"short")) == wrong


def test_another_key_signs_nothing() -> None:
    walk = found(chained(key=Ed25519PrivateKey.from_private_bytes(b"o" * 32)))
    assert (len(walk.faults), walk.signatures, walk.head) == (4, 4, None)


def test_the_ledger_of_another_site_is_named() -> None:
    assert found(chained(site="B")).faults[0] == "entry 1: expected the ledger of site A, got that of B"


def test_a_head_must_follow_the_head_before_it() -> None:
    rows = chained(("policy", "head"))
    body = canonical_json({"kind": "head", "ts": "2026-01-31T10:00:03+00:00", "parent": ""})
    hash_ = entry_hash(3, rows[1].hash, body)
    second = Row(3, body, rows[1].hash, hash_, KEY.sign(head_message("A", 3, hash_, rows[1].hash)))
    assert only_fault([*rows, second]) == "entry 3: expected a head that follows the last one, got another parent"


@pytest.mark.parametrize("body", ["not JSON", "[]", '{"kind":"charge"}', '{"ts":"2026-01-31T10:00:00+00:00"}'])
def test_a_body_that_cannot_be_read_is_a_fault(body: str) -> None:
    row = Row(1, body, GENESIS, entry_hash(1, GENESIS, body), None)
    assert only_fault([row]) == "entry 1: expected JSON with kind and ts, got something else"


def test_a_clock_that_goes_back_is_only_a_warning() -> None:
    rows = chained(("charge", "charge"))
    body = canonical_json({"kind": "charge", "ts": "2025-12-31T23:59:59+00:00"})
    rows.append(Row(3, body, rows[1].hash, entry_hash(3, rows[1].hash, body), None))
    walk = found(rows)
    assert walk.faults == ()
    assert walk.warnings == (
        "entry 3: dated 2025-12-31T23:59:59+00:00, before the entry ahead of it (2026-01-31T10:00:02+00:00): "
        "clock set back",
    )
    assert any(line.startswith("warning: entry 3") for line in walk.lines())


def test_many_faults_are_counted_not_listed() -> None:
    walk = replace(found(chained()), faults=tuple(f"entry {seq}" for seq in range(1, 101)))
    assert walk.lines()[0].startswith("the ledger does NOT hold")
    assert walk.lines()[-1] == "fault: and 80 more"
    assert len(walk.lines()) == 23
