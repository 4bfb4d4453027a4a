"""A slide as a bag of features: 16 patches of 64 numbers, some of them tumour, all of them seen by one scanner."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.cohort.bag_files import Attribute, write_bag
from simulations.synthetic.features.patients import FeaturePatient
from simulations.synthetic.streams import Purpose, stream

__all__ = ["DIM", "ENCODER", "ENCODER_SHA256", "PATCHES", "BagJob", "draw_bag", "draw_scanner"]

ENCODER = "synthetic-64"
ENCODER_SHA256 = sha256(b"mmfed features cohort, version 1").hexdigest()  # of an encoder that nobody has
PATCHES, DIM = 16, 64
MPP, TILE = 0.5, 224
TUMOUR_LOOK = 0.6  # what a patch of tumour adds, whatever its class
SIGNAL = 0.3  # what one SD of `visible` adds to a patch of tumour, in SD of a patch
SCANNER = 0.1  # SD over hospitals of what its scanner adds to every feature

Floats = NDArray[np.float32]


def draw_scanner(hospital: str, seed: int) -> NDArray[np.float64]:
    """What the hospital's scanner adds to every patch: (DIM,)."""
    return np.random.default_rng(stream(seed, Purpose.LOOK, hospital)).normal(0, SCANNER, DIM)


def draw_bag(patient: FeaturePatient, scanner: NDArray[np.float64], seed: int) -> Floats:
    """The features of a patient's slide, (PATCHES, DIM)."""
    rng = np.random.default_rng(stream(seed, Purpose.SLIDE, patient.hospital, patient.index))
    tumour = rng.permutation(np.arange(PATCHES) < round(patient.tumour * PATCHES))
    look, signal = _directions()
    added = TUMOUR_LOOK * look + SIGNAL * patient.visible * signal
    return (rng.normal(0, 1, (PATCHES, DIM)) + scanner + np.outer(tumour, added)).astype(np.float32)


@cache
def _directions() -> NDArray[np.float64]:
    """Unit vectors of tumour and of its class, (2, DIM): the same in every cohort, as biology is."""
    drawn = np.random.default_rng(np.random.SeedSequence([20_250_501])).normal(size=(2, DIM))
    first = drawn[0] / np.linalg.norm(drawn[0])
    second = drawn[1] - (drawn[1] @ first) * first
    return np.stack([first, second / np.linalg.norm(second)])


@dataclass(frozen=True)
class BagJob:
    """Everything one worker needs to write the features of one slide."""

    path: Path
    patient: FeaturePatient
    seed: int

    def write(self, path: Path) -> None:
        """Draw the bag and write it as mmfed itself writes one."""
        features = draw_bag(self.patient, draw_scanner(self.patient.hospital, self.seed), self.seed)
        side = int(PATCHES**0.5)
        coords = np.array([(x * TILE, y * TILE) for y in range(side) for x in range(side)], dtype=np.int64)
        about: dict[str, Attribute] = {"encoder": ENCODER, "encoder_sha256": ENCODER_SHA256, "mpp": MPP, "tile": TILE}
        write_bag(path, features, coords, about)
