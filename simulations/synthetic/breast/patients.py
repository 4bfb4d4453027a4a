"""Who the patients are: the subtype first, then what each modality can see of it.

The subtype moves three latents: `morphology.level` (seen only by the slide: Basal and Her2 tumours look less
differentiated), `luminal` and `proliferation` (seen only by expression). Given the subtype they are independent.
Expression knows most of the class Luminal against Basal and Her2 and the slide some of it, as published for S1.
"""

import math
from dataclasses import dataclass

import numpy as np

from simulations.synthetic.breast.hospitals import SUBTYPES, BreastHospital
from simulations.synthetic.nuclei import Morphology
from simulations.synthetic.streams import Purpose, stream

__all__ = ["BreastPatient", "draw_breast_patients"]

# Mean of each latent by subtype (LumA, LumB, Her2, Basal, Normal), in SD of the patients of one subtype.
MORPHOLOGY = (-0.60, -0.20, 0.55, 0.85, -0.70)
LUMINAL = (1.05, 0.65, -0.80, -1.25, 0.00)
PROLIFERATION = (-0.80, 0.60, 0.55, 0.90, -1.00)
LOG_HAZARD = (-0.40, 0.10, 0.35, 0.60, 0.00)

MEDIAN_MONTHS = 110.0  # of a patient of 58 years with log hazard 0
WEIBULL_SHAPE = 1.2
FOLLOW_UP_MONTHS = 70.0


@dataclass(frozen=True)
class BreastPatient:
    """One patient: subtype, latents, and which modalities were collected."""

    case_id: str
    hospital: str
    index: int
    age: float  # years at diagnosis
    sex: str  # male | female
    pam50: str
    os_months: float
    os_event: int  # 1 = died
    morphology: Morphology
    luminal: float  # SD; higher = more oestrogen-driven
    proliferation: float  # SD
    has_slide: bool
    has_expression: bool


def draw_breast_patients(hospital: BreastHospital, seed: int) -> tuple[BreastPatient, ...]:
    """All patients of a hospital; subtype counts follow its mix exactly, their order is random."""
    quota = np.array(hospital.mix) * hospital.patients
    counts = np.floor(quota).astype(int)
    counts[np.argsort(counts - quota, kind="stable")[: hospital.patients - counts.sum()]] += 1
    rng = np.random.default_rng(stream(seed, Purpose.CLASSES, hospital.code))
    subtypes = rng.permutation(np.repeat(np.arange(len(SUBTYPES)), counts))
    return tuple(_patient(hospital, seed, index, int(subtype)) for index, subtype in enumerate(subtypes, start=1))


def _patient(hospital: BreastHospital, seed: int, index: int, subtype: int) -> BreastPatient:
    rng = np.random.default_rng(stream(seed, Purpose.BIOLOGY, hospital.code, index))
    morphology, luminal, proliferation = rng.normal(0, 1, 3)
    age = float(np.clip(rng.normal(60 - 4 * (SUBTYPES[subtype] == "Basal"), 12), 26, 90))
    log_hazard = LOG_HAZARD[subtype] + 0.25 * morphology + 0.25 * proliferation + 0.30 * (age - 58) / 10
    months, event = _survival(log_hazard, stream(seed, Purpose.SURVIVAL, hospital.code, index))
    slide, expression = _presence(hospital, stream(seed, Purpose.PRESENCE, hospital.code, index))
    return BreastPatient(
        case_id=f"TCGA-{hospital.code}-{index:04d}",
        hospital=hospital.code,
        index=index,
        age=round(age, 1),
        sex="male" if rng.random() < 0.01 else "female",
        pam50=SUBTYPES[subtype],
        os_months=months,
        os_event=event,
        # haloes say nothing about the subtype
        morphology=Morphology(level=_level(MORPHOLOGY[subtype] + morphology), oligo=float(rng.uniform(0, 0.3))),
        luminal=float(LUMINAL[subtype] + luminal),
        proliferation=float(PROLIFERATION[subtype] + proliferation),
        has_slide=slide,
        has_expression=expression,
    )


def _level(latent: float) -> float:
    """Map the latent (SD about 1.3 over a cohort) onto 0 to 1."""
    return 0.5 + 0.5 * math.erf(latent / 1.3 / math.sqrt(2))


def _survival(log_hazard: float, seeds: np.random.SeedSequence) -> tuple[float, int]:
    """Months and event: Weibull death against exponential end of follow-up."""
    rng = np.random.default_rng(seeds)
    scale = MEDIAN_MONTHS / np.log(2) ** (1 / WEIBULL_SHAPE) * np.exp(-log_hazard / WEIBULL_SHAPE)
    death = scale * rng.weibull(WEIBULL_SHAPE)
    end = rng.exponential(FOLLOW_UP_MONTHS)
    return max(round(float(min(death, end)), 2), 0.1), int(death <= end)


def _presence(hospital: BreastHospital, seeds: np.random.SeedSequence) -> tuple[bool, bool]:
    """Whether a patient has a slide and expression: never neither where the hospital offers one."""
    offered = np.array([hospital.slides, hospital.expression])
    present = offered & (np.random.default_rng(seeds).random(2) >= hospital.missing_share)
    if offered.any() and not present.any():
        present[int(np.argmax(offered))] = True
    return bool(present[0]), bool(present[1])
