"""Seeds that make a round repeatable: they derive from names, never from a clock. Privacy noise never uses them."""

import hashlib

__all__ = ["derive_seed"]


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from any parts, such as (digest, site, round); equal on every platform."""
    text = "|".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
