"""Gene expression: two biological axes, four nuisance factors, a batch effect per hospital, noise."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from shared.cohort.genes import packaged_panel, vocabulary
from simulations.synthetic.biology import Patient
from simulations.synthetic.streams import Purpose, stream

__all__ = ["Batch", "draw_batch", "draw_expression", "panel_genes"]

FloatVector = NDArray[np.float64]  # (genes,)

# Genes that follow the grade's programme: proliferation, angiogenesis and mesenchymal state up, neural state down.
PROGRAMME_UP = (
    "AURKA AURKB BUB1 CDK1 CDK2 CHEK1 FOXM1 MELK PLK1 TTK E2F1 WEE1 VEGFA SPP1 CD44 TGFB1 CEBPB FOSL2 HIF1A EGFR CDK4"
)
PROGRAMME_DOWN = "SALL2 NTRK2 CDKN2A CDKN2B CDKN2C PTEN EGF NFIA"
# Genes that tell the IDH and codel classes apart; CIC and FUBP1 lie on the lost arms 19q and 1p.
MUTANT_UP = "OLIG2 SOX10 ASCL1 PDGFRA NKX2-2 CCND2 ATRX"
MUTANT_DOWN = "IGF2 CD163 STAT3 RUNX1 IL6 CXCL8 CHEK2"
CODEL_UP = "POU3F2 FGF2 PDGFA"
CODEL_DOWN = "CIC FUBP1 AKT1 MTOR CSF1"

PROGRAMME_LOADING = 0.45
MUTANT_LOADING = 0.75
CODEL_LOADING = 0.85
NUISANCE_SD = 0.30
NOISE_SD = 0.65
BATCH_SD = 0.30


@dataclass(frozen=True)
class Batch:
    """What a hospital's sequencing adds to every sample: a shift per gene (genes,) and one stretch."""

    shift: FloatVector
    stretch: float


@dataclass(frozen=True)
class _Axes:
    baseline: FloatVector
    programme: FloatVector
    mutant: FloatVector
    codel: FloatVector
    nuisance: NDArray[np.float64]  # (4, genes)


def panel_genes() -> tuple[str, ...]:
    """The genes of the table, sorted: the union of the packaged panel's six groups."""
    return vocabulary(packaged_panel())


def draw_batch(hospital: str, seed: int) -> Batch:
    """The hospital's batch effect, on the log2 scale."""
    rng = np.random.default_rng(stream(seed, Purpose.BATCH, hospital))
    return Batch(shift=rng.normal(0, BATCH_SD, len(panel_genes())), stretch=float(np.exp(rng.normal(0, 0.08))))


def draw_expression(patient: Patient, batch: Batch, seed: int) -> FloatVector:
    """log2(TPM + 1) of every panel gene, (genes,), at least 0."""
    axes = _axes()
    rng = np.random.default_rng(stream(seed, Purpose.EXPRESSION, patient.hospital, patient.index))
    signal = (
        patient.programme * axes.programme
        + (patient.subtype != "IDHwt") * axes.mutant
        + (patient.subtype == "IDHmut-codel") * axes.codel
        + (rng.normal(0, 1, (len(axes.nuisance), 1)) * axes.nuisance).sum(axis=0)
        + rng.normal(0, NOISE_SD, len(axes.baseline))
    )
    values: FloatVector = np.maximum(axes.baseline + batch.stretch * signal + batch.shift, 0.0)
    return values


@cache
def _axes() -> _Axes:
    """Loadings of every gene: the same in every cohort, since biology does not change with the seed."""
    genes = panel_genes()
    rng = np.random.default_rng(np.random.SeedSequence([20_250_101]))
    strength = rng.uniform(0.6, 1.4, len(genes))
    return _Axes(
        baseline=rng.uniform(4.0, 10.0, len(genes)),
        programme=PROGRAMME_LOADING * strength * _signs(genes, PROGRAMME_UP, PROGRAMME_DOWN),
        mutant=MUTANT_LOADING * strength * _signs(genes, MUTANT_UP, MUTANT_DOWN),
        codel=CODEL_LOADING * strength * _signs(genes, CODEL_UP, CODEL_DOWN),
        nuisance=rng.normal(0, NUISANCE_SD, (4, len(genes))),
    )


def _signs(genes: tuple[str, ...], up: str, down: str) -> FloatVector:
    rising, falling = up.split(), down.split()
    return np.array([float(gene in rising) - float(gene in falling) for gene in genes])
