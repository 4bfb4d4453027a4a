"""A frozen encoder, ready to turn tiles into features."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from client.prepare.encoders.fidelity import LEAST_COSINE, MOST_RELATIVE_L2, compare_features, is_faithful
from client.prepare.encoders.plan import Plan
from client.prepare.encoders.transform import Transform
from shared.errors import EncoderError

__all__ = ["Encoder", "Forward"]

Forward = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Tiles (batch, H, W, 3) -> features (batch, dim); several threads may call it at once."""


@dataclass(frozen=True)
class Encoder:
    """A frozen encoder in eval mode.

    `name` is the study's, followed by ":random" where the weights are; `dim` the width of a feature; `sha256` that of
    the weight file (of the seeded weights if random), which sites compare; `recipe_sha256` that of all which decides a
    feature beside the machine (recipe.py). `fidelity` compares bf16 with fp32 on real tiles, {} for fp32; `note` says
    why it is fp32 where bf16 was tried.
    """

    name: str
    dim: int
    sha256: str
    recipe_sha256: str
    plan: Plan
    forward: Forward
    transform: Transform = field(default_factory=Transform)
    fidelity: dict[str, float] = field(default_factory=dict)
    note: str = ""
    in_fp32: "Callable[[], Encoder] | None" = None  # the same encoder in fp32, while that is still to be compared

    @property
    def precision(self) -> Literal["fp32", "bf16"]:
        """In which numbers products are taken; features are float32 either way."""
        return self.plan.precision

    @property
    def engine(self) -> Literal["torch", "openvino"]:
        """What computes."""
        return self.plan.engine

    @property
    def batch(self) -> int:
        """Tiles in one forward pass; fewer are filled up, so several of this many are the fastest."""
        return self.plan.batch

    @property
    def workers(self) -> int:
        """How many calls of `encode` may usefully run at once, each in its own thread (with one torch thread)."""
        return self.plan.workers

    def encode(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (B, dim) of RGB tiles (B, H, W, 3), in forward passes of always `batch` tiles.

        A tile's feature depends on nothing else: not on the other tiles, on their number, or on other threads.

        Raises
        ------
        EncoderError
            The tiles are smaller than the network allows, or OpenVINO lacks one of its operations.
        """
        features = np.empty((len(tiles), self.dim), dtype=np.float32)
        for start in range(0, len(tiles), self.batch):
            part = self.transform.fit(np.ascontiguousarray(tiles[start : start + self.batch]))
            full = np.zeros((self.batch, *part.shape[1:]), dtype=np.uint8)
            full[: len(part)] = part
            features[start : start + self.batch] = self.forward(full)[: len(part)]
        return features

    def verified(self, tiles: NDArray[np.uint8]) -> "Encoder":
        """The encoder with `fidelity` measured on real tiles (N, H, W, 3); in fp32 already, itself.

        Where bf16 is too far off and nobody demanded it, the encoder in fp32.

        Raises
        ------
        EncoderError
            bf16 is too far off, and the site file demands it.
        """
        if self.in_fp32 is None or len(tiles) == 0:
            return self
        exact = self.in_fp32()
        fidelity = compare_features(self.encode(tiles), exact.encode(tiles))
        if is_faithful(fidelity):
            return replace(self, fidelity=fidelity, in_fp32=None)
        fault = (
            f"expected bf16 features of {self.name} with a cosine of at least {LEAST_COSINE} and a median relative "
            f"distance of at most {MOST_RELATIVE_L2} from fp32, got {fidelity['bf16_min_cosine']:.5f} and "
            f"{fidelity['bf16_median_relative_l2']:.4f}"
        )
        if self.plan.precision_demanded:
            raise EncoderError(f'{fault}; write precision = "auto" or "fp32" in the site file')
        return replace(exact, note=f"{fault}; fp32 is used")
