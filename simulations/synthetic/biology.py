"""Who the patients are: labels first, then what each modality can see of them.

A patient's grade moves three latents: `morphology.level` (seen only by the slide), `programme` (seen only by
expression) and `host` (seen only by blood). Given the grade they are independent, so each modality knows something
that the others do not, and fusion has something to win. The IDH/codel class is written in expression and, as haloed
nuclei, in the slide. Survival depends on grade, class, age and on what morphology and programme add to the grade.
"""

import math
from dataclasses import dataclass

import numpy as np

from simulations.synthetic.hospitals import GRADES, Hospital
from simulations.synthetic.nuclei import Morphology
from simulations.synthetic.streams import Purpose, stream

__all__ = ["SUBTYPES", "Patient", "draw_patients"]

SUBTYPES = ("IDHwt", "IDHmut-codel", "IDHmut-non-codel")
SUBTYPE_OF_GRADE = ((0.18, 0.40, 0.42), (0.30, 0.34, 0.36), (0.76, 0.0, 0.24))

# Mean of each latent by grade, in SD of the patients of one grade. The slide tells G2 from the rest, expression tells
# G4 from the rest: who knows one of them alone cannot place G3.
MORPHOLOGY_OF_GRADE = (-1.2, 0.55, 0.9)
PROGRAMME_OF_GRADE = (-0.75, -0.6, 1.1)
HOST_OF_GRADE = (-1.35, 0.0, 1.35)

MEDIAN_MONTHS = 55.0  # of a G3 patient of 50 years
WEIBULL_SHAPE = 1.2
FOLLOW_UP_MONTHS = 60.0


@dataclass(frozen=True)
class Patient:
    """One patient: labels, latents, and which modalities were collected."""

    case_id: str
    hospital: str
    index: int
    age: float  # years at diagnosis
    sex: str  # male | female
    grade: str
    subtype: str
    os_months: float
    os_event: int  # 1 = died
    morphology: Morphology
    programme: float  # SD; higher = more proliferative
    host: float  # SD; higher = more systemic inflammation
    has_slide: bool
    has_expression: bool
    has_blood: bool


def draw_patients(hospital: Hospital, seed: int) -> tuple[Patient, ...]:
    """All patients of a hospital; class counts follow its mix exactly, their order is random."""
    grades = _grades(hospital, seed)
    return tuple(_patient(hospital, seed, index, grade) for index, grade in enumerate(grades, start=1))


def _grades(hospital: Hospital, seed: int) -> list[int]:
    quota = np.array(hospital.grade_mix) * hospital.patients
    counts = np.floor(quota).astype(int)
    for grade in np.argsort(counts - quota, kind="stable")[: hospital.patients - counts.sum()]:
        counts[grade] += 1
    grades = np.repeat(np.arange(len(GRADES)), counts)
    rng = np.random.default_rng(stream(seed, Purpose.CLASSES, hospital.code))
    return [int(grade) for grade in rng.permutation(grades)]


def _patient(hospital: Hospital, seed: int, index: int, grade: int) -> Patient:
    rng = np.random.default_rng(stream(seed, Purpose.BIOLOGY, hospital.code, index))
    subtype = SUBTYPES[rng.choice(3, p=SUBTYPE_OF_GRADE[grade])]
    age = float(np.clip(rng.normal(40 + 4 * grade + 9 * (subtype == "IDHwt"), 10), 18, 89))
    morphology, programme, host = rng.normal(0, 1, 3)
    oligo = rng.uniform(0.35, 0.70) if subtype == "IDHmut-codel" else rng.uniform(0.0, 0.25)
    log_hazard = (
        0.70 * (grade - 1)
        + 0.35 * morphology
        + 0.35 * programme
        + 0.30 * (age - 50) / 10
        + 0.70 * (subtype == "IDHwt")
        - 0.30 * (subtype == "IDHmut-codel")
    )
    months, event = _survival(log_hazard, stream(seed, Purpose.SURVIVAL, hospital.code, index))
    slide, expression, blood = _presence(hospital, stream(seed, Purpose.PRESENCE, hospital.code, index))
    return Patient(
        case_id=f"TCGA-{hospital.code}-{index:04d}",
        hospital=hospital.code,
        index=index,
        age=round(age, 1),
        sex="male" if rng.random() < 0.57 else "female",
        grade=GRADES[grade],
        subtype=subtype,
        os_months=months,
        os_event=event,
        morphology=Morphology(level=_level(MORPHOLOGY_OF_GRADE[grade] + morphology), oligo=float(oligo)),
        programme=float(PROGRAMME_OF_GRADE[grade] + programme),
        host=float(HOST_OF_GRADE[grade] + host),
        has_slide=slide,
        has_expression=expression,
        has_blood=blood,
    )


def _level(latent: float) -> float:
    """Map the latent (SD about 1.4 over a cohort) onto 0 to 1."""
    return 0.5 + 0.5 * math.erf(latent / 1.4 / math.sqrt(2))


def _survival(log_hazard: float, seeds: np.random.SeedSequence) -> tuple[float, int]:
    """Months and event: Weibull death against exponential end of follow-up."""
    rng = np.random.default_rng(seeds)
    scale = MEDIAN_MONTHS / np.log(2) ** (1 / WEIBULL_SHAPE) * np.exp(-log_hazard / WEIBULL_SHAPE)
    death = scale * rng.weibull(WEIBULL_SHAPE)
    end = rng.exponential(FOLLOW_UP_MONTHS)
    return max(round(float(min(death, end)), 2), 0.1), int(death <= end)


def _presence(hospital: Hospital, seeds: np.random.SeedSequence) -> tuple[bool, bool, bool]:
    """Which of slides, expression and blood a patient has: never none."""
    rng = np.random.default_rng(seeds)
    offered = np.array([hospital.slides, True, hospital.blood])
    present = offered & (rng.random(3) >= hospital.missing_share)
    if not present.any():
        present[1] = True
    return bool(present[0]), bool(present[1]), bool(present[2])
