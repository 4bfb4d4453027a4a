"""Blood results: 22 analytes of the packaged panel as each laboratory measures, scales and reports them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from shared.cohort.blood import blood_panel
from simulations.synthetic.streams import Purpose, stream

__all__ = ["GLIOMA_SHIFTS", "BloodDonor", "BloodRow", "Laboratory", "draw_blood", "draw_laboratory"]

Interval = tuple[float, float]


class BloodDonor(Protocol):
    """What a laboratory needs to know of a patient."""

    @property
    def case_id(self) -> str:
        """As in every table of the cohort."""

    @property
    def hospital(self) -> str:
        """Code of the hospital, whose laboratory measures."""

    @property
    def index(self) -> int:
        """Number of the patient within the hospital."""

    @property
    def sex(self) -> str:
        """Either male or female, which decides the reference interval."""

    @property
    def host(self) -> float:
        """Systemic disease, in SD of the patients of one class."""


@dataclass(frozen=True)
class Physiology:
    """Reference intervals of women and men in the panel's unit.

    The healthy SD is a quarter of the interval, on the log scale where `skewed`.
    """

    female: Interval
    male: Interval
    skewed: bool = False


MEASURED: Mapping[str, Physiology] = {
    "ALP": Physiology((35, 104), (40, 129), skewed=True),
    "LDH": Physiology((135, 214), (135, 225)),
    "Ca": Physiology((8.6, 10.2), (8.6, 10.2)),
    "P": Physiology((2.6, 4.6), (2.5, 4.5)),
    "CRP": Physiology((0.0, 5.0), (0.0, 5.0)),
    "ESR": Physiology((0.0, 20.0), (0.0, 15.0)),
    "Neutrophils": Physiology((1.8, 7.4), (1.8, 7.2)),
    "Lymphocytes": Physiology((1.1, 3.6), (1.1, 3.5)),
    "Monocytes": Physiology((0.2, 0.8), (0.2, 0.9)),
    "PLT": Physiology((160, 390), (150, 360)),
    "HGB": Physiology((12.0, 15.6), (13.5, 17.2)),
    "ALB": Physiology((3.5, 5.0), (3.5, 5.2)),
    "GLB": Physiology((2.3, 3.5), (2.2, 3.5)),
    "GGT": Physiology((6, 42), (10, 71), skewed=True),
    "AST": Physiology((10, 35), (10, 50), skewed=True),
    "ALT": Physiology((7, 35), (10, 50), skewed=True),
    "Creatinine": Physiology((0.50, 0.95), (0.65, 1.20)),
    "Uric acid": Physiology((2.4, 5.7), (3.4, 7.0)),
    "D-dimer": Physiology((0.0, 0.50), (0.0, 0.50)),
    "Fibrinogen": Physiology((200, 400), (190, 390)),
}
GLIOMA_SHIFTS: Mapping[str, float] = {
    "ALP": 0.3,
    "LDH": 1.2,
    "CRP": 1.5,
    "ESR": 1.1,
    "Neutrophils": 1.0,
    "Lymphocytes": -0.9,
    "Monocytes": 0.2,
    "PLT": 0.2,
    "HGB": -0.4,
    "ALB": -1.0,
    "GLB": 0.3,
    "GGT": 0.2,
    "AST": 0.1,
    "ALT": 0.1,
    "D-dimer": 1.3,
    "Fibrinogen": 1.2,
}
"""How the disease moves results: SD of the healthy distribution for one SD of `host`; others stay as they are."""

# Sums and ratios of the results above.
DERIVED: Mapping[str, tuple[Interval, Interval]] = {
    "WBC": ((4.0, 10.8), (4.0, 10.4)),
    "A/G": ((1.1, 2.1), (1.1, 2.2)),
}
# The other unit that some laboratories report under the same LOINC code: unit, and how many make one of the panel's.
OTHER_UNITS: Mapping[str, tuple[str, float]] = {
    "HGB": ("g/L", 10.0),
    "ALB": ("g/L", 10.0),
    "GLB": ("g/L", 10.0),
    "CRP": ("mg/dL", 0.1),
    "Fibrinogen": ("g/L", 0.01),
    "D-dimer": ("ug/L", 1000.0),
    "WBC": ("10*3/uL", 1.0),
    "Neutrophils": ("10*3/uL", 1.0),
    "Lymphocytes": ("10*3/uL", 1.0),
    "Monocytes": ("10*3/uL", 1.0),
    "PLT": ("10*3/uL", 1.0),
}
BASE_SHIFT = 1.2  # even bland disease moves every result by this many SD of `host`
MISSED = 0.06  # share of single results that were not ordered


@dataclass(frozen=True)
class Laboratory:
    """One hospital's laboratory: `scale` is its method's level per analyte (results and intervals alike)."""

    name: str
    scale: Mapping[str, float]
    units: Mapping[str, tuple[str, float]]


@dataclass(frozen=True)
class BloodRow:
    """One line of blood.csv; `value` and the interval are in `unit`."""

    analyte: str  # LOINC code
    value: float
    unit: str
    ref_low: float
    ref_high: float
    collected: int  # days from diagnosis


def draw_laboratory(hospital: str, seed: int) -> Laboratory:
    """A laboratory: methods differ by 6 %, and half of the analytes with two customary units use the other one."""
    rng = np.random.default_rng(stream(seed, Purpose.LABORATORY, hospital))
    names = {analyte.name: analyte.unit for analyte in blood_panel()}
    scale = {name: float(np.exp(rng.normal(0, 0.06))) for name in names}
    units = {name: (unit, 1.0) for name, unit in names.items()}
    for name, other in OTHER_UNITS.items():
        if rng.random() < 0.5:
            units[name] = other
    return Laboratory(name=f"LAB-{hospital}", scale=scale, units=units)


def draw_blood(
    patient: BloodDonor, laboratory: Laboratory, seed: int, shifts: Mapping[str, float] = GLIOMA_SHIFTS
) -> tuple[BloodRow, ...]:
    """The patient's blood results as the laboratory reports them, one row an analyte, a few not ordered."""
    rng = np.random.default_rng(stream(seed, Purpose.BLOOD, patient.hospital, patient.index))
    results = _results(patient, shifts, rng)
    collected = int(rng.integers(-21, 8))
    rows = []
    for analyte in blood_panel():
        name = analyte.name
        if rng.random() < MISSED:
            continue
        unit, factor = laboratory.units[name]
        factor *= laboratory.scale[name]
        low, high = _interval(name, patient.sex)
        rows.append(
            BloodRow(
                analyte.loinc,
                _rounded(results[name] * factor),
                unit,
                _rounded(low * factor),
                _rounded(high * factor),
                collected,
            )
        )
    return tuple(rows)


def _results(patient: BloodDonor, shifts: Mapping[str, float], rng: np.random.Generator) -> dict[str, float]:
    """True concentrations in the panel's units."""
    results = {}
    for name, physiology in MEASURED.items():
        low, high = _interval(name, patient.sex)
        score = rng.normal() + shifts.get(name, 0.0) * (patient.host + BASE_SHIFT)
        if physiology.skewed:
            centre, sd = np.log(low * high) / 2, np.log(high / low) / 4
            results[name] = float(np.exp(centre + sd * score))
        else:
            results[name] = float(max((low + high) / 2 + (high - low) / 4 * score, 0.02 * high))
    results["WBC"] = 1.05 * (results["Neutrophils"] + results["Lymphocytes"] + results["Monocytes"])
    results["A/G"] = results["ALB"] / results["GLB"]
    return results


def _interval(name: str, sex: str) -> Interval:
    if name in DERIVED:
        female, male = DERIVED[name]
    else:
        female, male = MEASURED[name].female, MEASURED[name].male
    return male if sex == "male" else female


def _rounded(value: float) -> float:
    """Three significant digits, as printed on a report."""
    return float(f"{value:.3g}")
