"""The signed end of a ledger as it travels: its form, and what its signature covers."""

import json
from dataclasses import asdict, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from shared.privacy.head import Head, head_message

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)


def signed(site: str = "A", seq: int = 7, hash_: str = "a" * 64, parent: str = "b" * 64) -> Head:
    signature = KEY.sign(head_message(site, seq, hash_, parent)).hex()
    return Head(site, seq, hash_, parent, KEY.public_key().public_bytes_raw().hex(), signature)


def test_a_head_comes_back_from_its_text() -> None:
    for head in (signed(), signed(parent="")):
        assert Head.parse(head.text()) == head
        assert head.genuine()


def test_the_text_is_canonical() -> None:
    head = signed()
    assert head.text() == json.dumps(asdict(head), sort_keys=True, separators=(",", ":"))


def test_a_signature_covers_exactly_these_bytes() -> None:
    assert head_message("A", 7, "aa", "") == b"mmfed-head-v1|A|7|aa|"


@pytest.mark.parametrize(
    "change",
    [
        {"site": "B"},
        {"seq": 8},
        {"hash": "c" * 64},
        {"parent": ""},
        {"parent": "c" * 64},
        {"key": "d" * 64},
        {"sig": "e" * 128},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_head_with_anything_changed_is_not_genuine(change: dict[str, object]) -> None:
    forged = replace(signed(), **change)  # type: ignore[arg-type]
    assert Head.parse(forged.text()) == forged
    assert not forged.genuine()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"site": ""}, "hex digits"),
        ({"site": "A|8"}, "hex digits"),
        ({"hash": "A" * 64}, "hex digits"),
        ({"hash": "a" * 63}, "hex digits"),
        ({"parent": "b"}, "hex digits"),
        ({"key": "0"}, "hex digits"),
        ({"sig": "0" * 64}, "hex digits"),
        ({"seq": 0}, "number from 1"),
        ({"seq": True}, "number from 1"),
        ({"seq": 7.0}, "number from 1"),
        ({"seq": "7"}, "number from 1"),
        ({"key": None}, "number from 1"),
        ({"more": "x"}, "expected a ledger head with"),
    ],
)
def test_text_of_another_form_is_refused(change: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Head.parse(json.dumps(asdict(signed()) | change))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "7", "{", signed().text() + " " * 2000, "[" * 1500])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # json has sentences of its own
        Head.parse(text)


@given(st.text(max_size=60))
def test_no_text_gets_past_but_a_head(text: str) -> None:
    with pytest.raises(ValueError):
        Head.parse(text)
