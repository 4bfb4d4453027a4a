"""Seeds derive from names."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from shared.seeds import derive_seed


def test_a_seed_is_the_start_of_a_hash() -> None:
    first = int(hashlib.sha256(b"d|A|1").hexdigest()[:16], 16)
    assert derive_seed("d", "A", 1) == first // 2


@given(st.text(), st.integers())
def test_seeds_fit_every_generator(name: str, round_: int) -> None:
    assert 0 <= derive_seed(name, round_) < 2**63


def test_site_and_round_make_another_seed() -> None:
    assert len({derive_seed("d", site, round_) for site in "AB" for round_ in range(10)}) == 20
