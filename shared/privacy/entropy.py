"""Secret random words: the ChaCha20 stream under keys from the operating system, or under known keys in simulations."""

import hashlib
import os
from collections.abc import Callable
from itertools import count

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray

__all__ = ["Keys", "Words", "keys_of", "known_keys", "secret_keys", "unit"]

Keys = Callable[[], bytes]
"""() -> the 32 bytes of the next key; no key is given twice."""

TO_UNIT = np.float64(2.0**-53)


def secret_keys() -> bytes:
    """A key from the operating system. No seed of a study, of torch or of numpy has any part in it."""
    return os.urandom(32)


def known_keys(seed: int, purpose: str) -> Keys:
    """Keys that follow from `seed`, so that a simulation on public data can be repeated; `purpose` keeps streams apart.

    Whoever knows the seed can subtract the noise: nothing drawn from such keys is private.
    """
    place = count()
    return lambda: hashlib.sha256(f"mmfed test-seeded|{purpose}|{seed}|{next(place)}".encode()).digest()


def keys_of(noise_source: str, seed: int | None, purpose: str) -> Keys:
    """The keys of one purpose under a study's `privacy.noise_source`; `seed` is looked at by `test-seeded` alone.

    Raises
    ------
    ValueError
        `test-seeded` without a seed.
    """
    if noise_source != "test-seeded":
        return secret_keys
    if seed is None:
        raise ValueError("expected a seed with noise_source = test-seeded, got none; give the simulation's")
    return known_keys(seed, purpose)


class Words:
    """Uniform 64-bit words of one ChaCha20 key (RFC 8439), at most 256 GiB of them: take a new one for every draw."""

    def __init__(self, keys: Keys) -> None:
        nonce = bytes(16)  # block counter and nonce; a key is used once, so they start at 0
        self._stream = Cipher(algorithms.ChaCha20(keys(), nonce), mode=None).encryptor()

    def fill(self, words: NDArray[np.uint64]) -> None:
        """Overwrite `words` (n,) with the next n of the stream."""
        self._stream.update_into(bytes(words.nbytes), words.data.cast("B"))


def unit(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Words (n,) as multiples of 2^-53 in [0, 1), from their upper 53 bits."""
    # read as signed, since compilers have a fast instruction for that conversion and the top bit is 0
    uniform: NDArray[np.float64] = np.right_shift(words, np.uint64(11)).view(np.int64) * TO_UNIT
    return uniform
