"""Gene expression of the breast cohort: a luminal and a proliferation axis, nuisance factors, noise.

The genes are those of the packaged panel, so that the demonstration needs no other gene list. Which way a gene moves
follows the textbooks where they say so (cyclin D1 and IGF1 up in luminal tumours, EGFR and SOX10 down); its strength
is drawn.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from simulations.synthetic.breast.patients import BreastPatient
from simulations.synthetic.expression import Batch, panel_genes
from simulations.synthetic.streams import Purpose, stream

__all__ = ["draw_breast_expression"]

FloatVector = NDArray[np.float64]  # (genes,)

LUMINAL_UP = "CCND1 IGF1 CD24 PIK3R1 STK11 NFIA PIK3CA CXCL12"
LUMINAL_DOWN = "EGFR SOX10 CDK6 CXCL8 SNAI2 ZEB1 CEBPB MYC PROM1 RUNX1"
PROLIFERATION_UP = "AURKA AURKB BUB1 CDK1 CDK2 CHEK1 FOXM1 MELK PLK1 TTK E2F1 WEE1"
PROLIFERATION_DOWN = "PTEN RB1 CDKN2C EGF"

LUMINAL_LOADING = 0.60
PROLIFERATION_LOADING = 0.45
NUISANCE_SD = 0.30
NOISE_SD = 0.65


@dataclass(frozen=True)
class _Axes:
    baseline: FloatVector
    luminal: FloatVector
    proliferation: FloatVector
    nuisance: NDArray[np.float64]  # (4, genes)


def draw_breast_expression(patient: BreastPatient, batch: Batch, seed: int) -> FloatVector:
    """log2(TPM + 1) of every panel gene, (genes,), at least 0."""
    axes = _axes()
    rng = np.random.default_rng(stream(seed, Purpose.EXPRESSION, patient.hospital, patient.index))
    signal = (
        patient.luminal * axes.luminal
        + patient.proliferation * axes.proliferation
        + (rng.normal(0, 1, (len(axes.nuisance), 1)) * axes.nuisance).sum(axis=0)
        + rng.normal(0, NOISE_SD, len(axes.baseline))
    )
    values: FloatVector = np.maximum(axes.baseline + batch.stretch * signal + batch.shift, 0.0)
    return values


@cache
def _axes() -> _Axes:
    """Loadings of every gene: the same in every cohort, since biology does not change with the seed."""
    genes = panel_genes()
    rng = np.random.default_rng(np.random.SeedSequence([20_250_301]))
    strength = rng.uniform(0.6, 1.4, len(genes))
    return _Axes(
        baseline=rng.uniform(4.0, 10.0, len(genes)),
        luminal=LUMINAL_LOADING * strength * _signs(genes, LUMINAL_UP, LUMINAL_DOWN),
        proliferation=PROLIFERATION_LOADING * strength * _signs(genes, PROLIFERATION_UP, PROLIFERATION_DOWN),
        nuisance=rng.normal(0, NUISANCE_SD, (4, len(genes))),
    )


def _signs(genes: tuple[str, ...], up: str, down: str) -> FloatVector:
    rising, falling = up.split(), down.split()
    return np.array([float(gene in rising) - float(gene in falling) for gene in genes])
