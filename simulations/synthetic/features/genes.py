"""Expression of 30 genes: one axis of the patient's, three nuisance factors, a batch effect a hospital, noise."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from simulations.synthetic.expression import panel_genes
from simulations.synthetic.features.patients import FeaturePatient
from simulations.synthetic.streams import Purpose, stream

__all__ = ["GENES", "draw_batch_shift", "draw_genes"]

GENES = panel_genes()[:30]
INFORMATIVE = 12
LOADING = 0.2
NUISANCES, NUISANCE_SD = 3, 0.25
NOISE_SD = 0.65
BATCH_SD = 0.15
BASELINE = (6.4, 7.6)  # near one another, so that ranks within a patient still move

Floats = NDArray[np.float64]


def draw_batch_shift(hospital: str, seed: int) -> Floats:
    """What the hospital's sequencing adds to every sample, (30,)."""
    return np.random.default_rng(stream(seed, Purpose.BATCH, hospital)).normal(0, BATCH_SD, len(GENES))


def draw_genes(patient: FeaturePatient, shift: Floats, seed: int) -> Floats:
    """log2(TPM + 1) of every gene, (30,)."""
    rng = np.random.default_rng(stream(seed, Purpose.EXPRESSION, patient.hospital, patient.index))
    baseline, axis, nuisances = _axes()
    factors = (rng.normal(size=(NUISANCES, 1)) * nuisances).sum(axis=0)
    values: Floats = baseline + patient.expressed * axis + factors + shift + rng.normal(0, NOISE_SD, len(GENES))
    return values


@cache
def _axes() -> tuple[Floats, Floats, Floats]:
    """Baseline (30,), the patient's axis (30,) and nuisances (3, 30): the same in every cohort."""
    rng = np.random.default_rng(np.random.SeedSequence([20_250_601]))
    signs: Sequence[float] = rng.choice([-1.0, 1.0], len(GENES)).tolist()
    informative = rng.permutation(np.arange(len(GENES)) < INFORMATIVE)
    return (
        rng.uniform(*BASELINE, len(GENES)),
        LOADING * informative * np.array(signs),
        rng.normal(0, NUISANCE_SD, (NUISANCES, len(GENES))),
    )
