"""Who the patients are: relapse or not, then what slides and expression can see of it, and how long they lived.

Relapse moves two latents, `visible` (seen only by patches of tumour) and `expressed` (seen only by expression). Given
the class they are independent, so each modality knows something that the other does not.
"""

from dataclasses import dataclass

import numpy as np

from simulations.synthetic.features.hospitals import FeatureHospital
from simulations.synthetic.streams import Purpose, stream

__all__ = ["RELAPSE", "FeaturePatient", "draw_feature_patients"]

RELAPSE = ("no", "yes")
VISIBLE = 1.5  # half the distance of the classes, in SD of the patients of one class
EXPRESSED = 1.15
TUMOUR = (0.25, 0.75)  # share of a slide's patches that are tumour

MEDIAN_MONTHS = 50.0
WEIBULL_SHAPE = 1.2
FOLLOW_UP_MONTHS = 60.0


@dataclass(frozen=True)
class FeaturePatient:
    """One patient: labels, latents, and which modalities were collected."""

    case_id: str
    hospital: str
    index: int
    age: float  # years at diagnosis
    sex: str  # male | female
    relapse: str
    os_months: float
    os_event: int  # 1 = died
    visible: float  # SD; higher = more like a relapse
    expressed: float  # SD
    tumour: float  # share of patches
    has_slide: bool
    has_expression: bool


def draw_feature_patients(hospital: FeatureHospital, seed: int) -> tuple[FeaturePatient, ...]:
    """All patients of a hospital; the number of relapses follows its share exactly, their order is random."""
    relapses = round(hospital.relapses * hospital.patients)
    rng = np.random.default_rng(stream(seed, Purpose.CLASSES, hospital.code))
    classes = rng.permutation(np.arange(hospital.patients) < relapses)
    return tuple(_patient(hospital, seed, index, int(relapse)) for index, relapse in enumerate(classes, start=1))


def _patient(hospital: FeatureHospital, seed: int, index: int, relapse: int) -> FeaturePatient:
    rng = np.random.default_rng(stream(seed, Purpose.BIOLOGY, hospital.code, index))
    side = 2 * relapse - 1
    visible, expressed = VISIBLE * side + rng.normal(), EXPRESSED * side + rng.normal()
    age = float(np.clip(rng.normal(58, 11), 20, 90))
    log_hazard = 0.55 * visible + 0.55 * expressed + 0.02 * (age - 58)
    months, event = _survival(log_hazard, stream(seed, Purpose.SURVIVAL, hospital.code, index))
    slide, expression = _presence(hospital, stream(seed, Purpose.PRESENCE, hospital.code, index))
    return FeaturePatient(
        case_id=f"FEAT-{hospital.code}-{index:04d}",
        hospital=hospital.code,
        index=index,
        age=round(age, 1),
        sex="male" if rng.random() < 0.5 else "female",
        relapse=RELAPSE[relapse],
        os_months=months,
        os_event=event,
        visible=float(visible),
        expressed=float(expressed),
        tumour=float(rng.uniform(*TUMOUR)),
        has_slide=slide,
        has_expression=expression,
    )


def _survival(log_hazard: float, seeds: np.random.SeedSequence) -> tuple[float, int]:
    """Months and event: Weibull death against exponential end of follow-up."""
    rng = np.random.default_rng(seeds)
    scale = MEDIAN_MONTHS / np.log(2) ** (1 / WEIBULL_SHAPE) * np.exp(-log_hazard / WEIBULL_SHAPE)
    death = scale * rng.weibull(WEIBULL_SHAPE)
    end = rng.exponential(FOLLOW_UP_MONTHS)
    return max(round(float(min(death, end)), 2), 0.1), int(death <= end)


def _presence(hospital: FeatureHospital, seeds: np.random.SeedSequence) -> tuple[bool, bool]:
    """Whether a patient has a slide and expression: never neither."""
    slide, expression = np.random.default_rng(seeds).random(2) >= hospital.missing_share
    return bool(slide), bool(expression or not slide)
