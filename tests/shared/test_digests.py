"""Canonical JSON and hashes, against values worked out elsewhere."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.digests import canonical_json, sha256_bytes, sha256_file, sha256_json

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_canonical_json_is_sorted_tight_and_unicode() -> None:
    assert canonical_json({"b": [1, 0.1, True], "a": {"z": None, "ä": "µm"}}) == (
        '{"a":{"z":null,"ä":"µm"},"b":[1,0.1,true]}'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_has_no_canonical_form_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json([value])


def test_hashes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_file(tmp_path / "abc") == sha256_bytes(b"abc") == ABC
    assert sha256_json({}) == sha256_bytes(b"{}")


@given(st.dictionaries(st.text(), st.integers()))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert sha256_json(dict(reversed(value.items()))) == sha256_json(value)
