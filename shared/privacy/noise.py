"""Where the noise comes from (`privacy.noise_source`), and how it is drawn while gradients are computed.

| source | drawn from | for |
|---|---|---|
| `chacha20` | a ChaCha20 stream under a fresh key of `os.urandom` each draw | every release; the default |
| `os-seeded` | a torch.Generator that the operating system seeds, on the device itself | speed on a GPU; no cipher |
| `test-seeded` | as `chacha20`, but under keys that follow from a seed | simulations on public data, NOT PRIVATE |

None of them reads torch's or numpy's global random state, or a seed of the study: a coordinator that sets the same seed
at two sites learns nothing about either one's noise. Values are continuous up to rounding to float32; the attacks on
the lowest bits of floating-point noise (Mironov 2012; Jin et al. 2022) are not defended against.
"""

import math
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.privacy.entropy import Keys, Words, keys_of, secret_keys, unit

__all__ = ["Ahead", "ChaCha20", "Noise", "OsSeeded", "noise_source"]

BLOCK = 1 << 16  # words a pass, so that all of it stays in a core's cache: half a megabyte


class Noise(Protocol):
    """A source of independent standard normal values."""

    def standard_normal(self, count: int, device: torch.device) -> Tensor:
        """`count` fresh values, float32, on `device`: (count,)."""


class ChaCha20:
    """Uniforms of 53 bits from ChaCha20, made normal by Box and Muller (1958), exact in float64 up to rounding.

    A pair of values is (r cos a, r sin a) with r = sqrt(-2 ln u). With t = tan(a/2), |a| <= pi/2, the cosine is
    (1 - t^2) / (1 + t^2) and the sine 2 t / (1 + t^2); one further random bit gives the cosine its sign. One tangent
    for two values takes a third of the time of `scipy.special.ndtri`. The largest value is sqrt(2 ln 2^53) = 8.57.
    """

    def __init__(self, keys: Keys = secret_keys) -> None:
        self._keys = keys

    def standard_normal(self, count: int, device: torch.device) -> Tensor:
        """`count` fresh values, float32, on `device`: (count,). Threads may not share a source."""
        values = np.empty(count, dtype=np.float32)
        words, half = Words(self._keys), BLOCK // 2
        block = np.empty(BLOCK, dtype=np.uint64)
        for start in range(0, count, BLOCK):
            words.fill(block)
            first, second = _pairs(block)
            values[start : start + half] = first[: count - start]
            rest = values[start + half : start + BLOCK]
            rest[:] = second[: len(rest)]
        return torch.from_numpy(values).to(device)


def _pairs(words: NDArray[np.uint64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Words (n,) as n / 2 pairs of independent standard normal values: (n/2,) and (n/2,)."""
    half = len(words) // 2
    sign = words[half:] << np.uint64(63)  # the lowest bit, which `unit` does not use
    u = unit(words)
    radius, tangent = u[:half], u[half:]
    radius += 2.0**-53  # (0, 1], since the logarithm of 0 is not finite
    np.log(radius, out=radius)
    radius *= -2.0
    np.sqrt(radius, out=radius)
    tangent *= math.pi / 2
    tangent -= math.pi / 4
    np.tan(tangent, out=tangent)
    square = tangent * tangent
    radius /= square + 1.0
    cosine = np.subtract(1.0, square, out=square)
    cosine *= radius
    bits = cosine.view(np.uint64)
    bits ^= sign
    sine = tangent
    sine *= radius
    sine *= 2.0
    return cosine, sine


class OsSeeded:
    """torch.Generator, seeded once a device with 64 bits of the operating system; drawn where it is used."""

    def __init__(self) -> None:
        self._generators: dict[torch.device, torch.Generator] = {}

    def standard_normal(self, count: int, device: torch.device) -> Tensor:
        """`count` fresh values, float32, on `device`: (count,). On a CPU they are ChaCha20's.

        torch's generator there takes no more than 32 bits of a seed, which a coordinator could try one by one.
        """
        if device.type == "cpu":
            return ChaCha20().standard_normal(count, device)
        if device not in self._generators:
            generator = torch.Generator(device)
            generator.seed()
            self._generators[device] = generator
        return torch.randn(count, generator=self._generators[device], device=device, dtype=torch.float32)


def noise_source(name: str, seed: int | None = None) -> Noise:
    """The source that a study names.

    Parameters
    ----------
    seed
        Of `test-seeded` alone; no other source looks at it.

    Raises
    ------
    ValueError
        An unknown name, or `test-seeded` without a seed.
    """
    if name in ("chacha20", "test-seeded"):
        return ChaCha20(keys_of(name, seed, "noise"))
    if name == "os-seeded":
        return OsSeeded()
    raise ValueError(f"expected chacha20, os-seeded or test-seeded, got {name!r}; choose one of them")


class Ahead:
    """Another source's values, drawn by a second thread while the first computes gradients.

    numpy and torch let go of the interpreter's lock while they compute, so the second thread costs the first little
    (tests/benchmarks/private_step_cost.py). Use it as a context manager: leaving it ends the thread.

    Parameters
    ----------
    count
        Values of every draw: the trainable parameters.
    draws
        How often they are asked for. What was drawn ahead is used once or forgotten, never used twice.
    """

    def __init__(self, source: Noise, count: int, device: torch.device, draws: int) -> None:
        self._source, self._count, self._device, self._left = source, count, device, draws
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="noise")
        self._coming: Future[Tensor] | None = None
        self._start()

    def _start(self) -> None:
        self._coming = None
        if self._left > 0:
            self._left -= 1
            self._coming = self._thread.submit(self._source.standard_normal, self._count, self._device)

    def standard_normal(self, count: int, device: torch.device) -> Tensor:
        """The values drawn ahead: (count,). Starts on the next ones.

        Raises
        ------
        ValueError
            Other values than announced, or more draws.
        """
        if self._coming is None or (count, device) != (self._count, self._device):
            left = 0 if self._coming is None else self._left + 1
            raise ValueError(
                f"expected {left} more draws of {self._count} values on {self._device}, got one of {count} on {device};"
                " announce what the steps will ask for"
            )
        drawn = self._coming.result()
        self._start()
        return drawn

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown(cancel_futures=True)
