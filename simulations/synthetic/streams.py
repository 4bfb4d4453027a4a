"""Independent random streams, one for each (cohort seed, hospital, patient, purpose).

A patient's draws depend on nobody else: leaving a hospital out, reordering, or using more workers changes no file of
the others.
"""

from enum import IntEnum

import numpy as np

__all__ = ["Purpose", "stream"]

HOSPITAL_ITSELF = 0xFFFF


class Purpose(IntEnum):
    """What a stream is for; the numbers are part of the generator's version."""

    CLASSES = 1
    BIOLOGY = 2
    PRESENCE = 3
    LOOK = 4
    SLIDE = 5
    BATCH = 6
    EXPRESSION = 7
    LABORATORY = 8
    BLOOD = 9
    SURVIVAL = 10
    RADIOGRAPH = 11
    EXPOSURE = 12


def stream(seed: int, purpose: Purpose, hospital: str, patient: int = HOSPITAL_ITSELF) -> np.random.SeedSequence:
    """The seed sequence of one purpose, for one patient or for the hospital itself."""
    code = int.from_bytes(hospital.encode("ascii"), "big")
    return np.random.SeedSequence(seed, spawn_key=(int(purpose), code, patient))
