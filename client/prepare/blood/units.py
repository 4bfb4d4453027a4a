"""Units of blood results: UCUM, and the spellings that laboratories use beside it, turned into the panel's unit.

Everything is a factor of one analyte; a unit that cannot be read, or that measures something else, is refused. pint
computes the factors and ucumvert reads UCUM into pint (both are loaded at the first unit that is not the panel's own).
"""

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from client.prepare.blood.values import shown
from shared.cohort.blood import Analyte
from shared.errors import CohortError

if TYPE_CHECKING:
    from lark import Lark
    from pint import Quantity
    from ucumvert import UcumToPintTransformer

__all__ = ["SPELLINGS", "canonical_factor", "read_unit"]

SPELLINGS: dict[str, tuple[str, ...]] = {
    # enzymes: an international unit of activity is the enzyme unit, 1 umol/min
    "IU/L": ("U/L",),
    "[IU]/L": ("U/L",),
    "[iU]/L": ("U/L",),
    "IU/l": ("U/L",),
    "UI/L": ("U/L",),
    "IU/mL": ("U/mL",),
    "mIU/L": ("mU/L",),
    "mIU/mL": ("mU/mL",),
    "uIU/mL": ("uU/mL",),
    "units/L": ("U/L",),
    # counts; G (giga) is customary in French and German reports; UCUM reads gauss, and kelvin for K
    "K/uL": ("10*3/uL",),
    "k/uL": ("10*3/uL",),
    "K/ul": ("10*3/uL",),
    "k/ul": ("10*3/uL",),
    "K/mm3": ("10*3/uL",),
    "K/cumm": ("10*3/uL",),
    "thou/uL": ("10*3/uL",),
    "thousand/uL": ("10*3/uL",),
    "Tsd/uL": ("10*3/uL",),
    "Tsd./uL": ("10*3/uL",),
    "cells/uL": ("/uL",),
    "cells/ul": ("/uL",),
    "/mm3": ("/uL",),
    "/cumm": ("/uL",),
    "cells/mm3": ("/uL",),
    "G/L": ("10*9/L", "g/L"),
    "G/l": ("10*9/L", "g/L"),
    "Gpt/L": ("10*9/L",),
    "Gpt/l": ("10*9/L",),
    "Giga/L": ("10*9/L",),
    # mass and moles
    "gm/dL": ("g/dL",),
    "gm/L": ("g/L",),
    "gm%": ("g/dL",),
    "g%": ("g/dL",),
    "gm/100mL": ("g/dL",),
    "g/100mL": ("g/dL",),
    "mg%": ("mg/dL",),
    "mg/100mL": ("mg/dL",),
    "mcg/L": ("ug/L",),
    "mcg/mL": ("ug/mL",),
    "mcg/dL": ("ug/dL",),
    "mcmol/L": ("umol/L",),
    "mEq/L": ("meq/L",),
    "mval/L": ("meq/L",),
    "MG/DL": ("mg/dL",),
    "MG/L": ("mg/L",),
    "G/DL": ("g/dL",),
    "UG/L": ("ug/L",),
    "UG/ML": ("ug/mL",),
    "NG/ML": ("ng/mL",),
    "MMOL/L": ("mmol/L",),
    "UMOL/L": ("umol/L",),
    # the others
    "mm/hr": ("mm/h",),
    "mm/1h": ("mm/h",),
    "mm/1hr": ("mm/h",),
    "mm/1sth": ("mm/h",),
    "MM/HR": ("mm/h",),
    "ratio": ("1",),
    "{ratio}": ("1",),
    "ratiounits": ("1",),
    "": ("1",),
}
"""Spelling without spaces, micro written u -> what it may mean in UCUM; the analyte must leave exactly one."""

ALIKE = str.maketrans({"µ": "u", "μ": "u", "×": "x", "·": ".", "⁰": "0", "¹": "1", "²": "2", "³": "3", "⁴": "4",
                       "⁵": "5", "⁶": "6", "⁷": "7", "⁸": "8", "⁹": "9"})  # fmt: skip
SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
POWER = re.compile(r"[xX*]?10(?:\^|\*\*|\*|[eE])\+?0?(\d{1,2})(.*)")  # x10E9/L, 10^9/L, *10**3/uL: ten to the power
KIND = re.compile(r"\s*\{?(FEU|D-?DU)\}?", re.IGNORECASE)  # D-dimer in fibrinogen equivalents or in its own units
LONGEST = 32


def canonical_factor(analyte: Analyte, unit: str) -> float:
    """What a result of `analyte` in `unit` is multiplied by to be in the panel's unit; cached.

    Raises
    ------
    CohortError
        The unit is unknown, measures something else, or may mean two things; a reason for prepare-report.csv.
    """
    if unit == analyte.unit:
        return 1.0
    factor, reason = _factor(analyte, unit)
    if factor is None:
        raise CohortError(reason)
    return factor


def read_unit(unit: str) -> "tuple[Quantity[Any], ...]":
    """What a unit may mean, as pint quantities; none when it cannot be read."""
    found = (_parse(code) for code in _codes(unit))
    return tuple(quantity for quantity in found if quantity is not None)


@cache
def _factor(analyte: Analyte, unit: str) -> tuple[float | None, str]:
    """The factor, or why there is none; a refusal is cached like a factor, since a file repeats it."""
    kind = KIND.search(unit)
    quantities = read_unit(KIND.sub("", unit))
    if not quantities or (kind and (analyte.name, kind[1].upper()) != ("D-dimer", "FEU")):
        return None, f"expected a unit that can be read, got {shown(unit)}; write it in UCUM, e.g. {analyte.unit}"
    factors = {factor for quantity in quantities if (factor := _ratio(quantity, analyte)) is not None}
    if len(factors) != 1:
        return None, f"expected a unit of {analyte.name}, e.g. {analyte.unit}, got {shown(unit)}; correct it"
    return factors.pop(), ""


def _codes(unit: str) -> tuple[str, ...]:
    """UCUM codes that a unit as written may stand for."""
    if len(unit) > LONGEST:
        return ()
    powered = SUPERSCRIPT.sub(
        lambda digits: f"^{digits[0]}" if unit[: digits.start()].endswith("10") else digits[0], unit
    )
    plain = "".join(powered.translate(ALIKE).split())
    if power := POWER.fullmatch(plain):
        plain = f"10*{int(power[1])}{power[2]}"
    rest = plain.replace("/mm3", "/uL").replace("/cumm", "/uL") if power else plain
    return SPELLINGS.get(rest, (rest,))


@cache
def _parse(code: str) -> "Quantity[Any] | None":
    """A UCUM code as a pint quantity, None when it is none."""
    from lark.exceptions import LarkError
    from pint.errors import PintError

    if not code.isascii() or not code.isprintable():
        return None
    parser, transformer = _ucum()
    try:
        quantity = transformer.transform(parser.parse(code))
        if not hasattr(quantity, "dimensionality") or quantity.magnitude != 1:
            return None  # an annotation alone; a factor, often a raised figure that was lost (103/uL for 10*3/uL)
        found: Quantity[Any] = quantity * 1.0
        return found
    except (LarkError, PintError, ArithmeticError):  # not UCUM, or UCUM that pint does not know or cannot multiply
        return None


def _ratio(quantity: "Quantity[Any]", analyte: Analyte) -> float | None:
    """Factor from `quantity` to the panel's unit; None when it measures something else."""
    from pint.errors import PintError

    registry, target = _ucum()[1].ureg, _parse(analyte.unit)
    dimensionless = {(name, power) for name, power in quantity.unit_items() if registry.Unit(name).dimensionless}
    if any(atom != ("percent", 1) if analyte.unit == "1" else atom[0] != "_10" for atom in dimensionless):
        return None  # arbitrary units, radians, ...: no dimension, yet not numbers
    if any("equivalent" in name for name, _ in quantity.unit_items()):  # which pint takes for moles
        if analyte.valence is None:
            return None
        quantity = quantity / analyte.valence
    try:
        if analyte.molar_mass is not None and quantity.is_compatible_with("mol/L"):
            quantity = quantity * registry.Quantity(analyte.molar_mass, "g/mol")
        ratio = float((quantity / target).to("").magnitude)
    except (PintError, ArithmeticError):
        return None
    return float(f"{ratio:.12g}") if 1e-12 < ratio < 1e12 else None  # 10*3/uL is 10*9/L, not .9999999999999998


@cache
def _ucum() -> "tuple[Lark, UcumToPintTransformer]":
    """The parser of UCUM, and what turns its trees into quantities of one registry."""
    from ucumvert import PintUcumRegistry, UcumToPintTransformer, get_ucum_parser

    return get_ucum_parser(), UcumToPintTransformer(PintUcumRegistry())
