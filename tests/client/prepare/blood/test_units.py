import csv
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.prepare.blood.units import SPELLINGS, canonical_factor, read_unit
from shared.cohort.blood import blood_panel
from shared.errors import CohortError

PANEL = {analyte.name: analyte for analyte in blood_panel()}
LAB_DETAILS = Path("../shared/data/blood/LAB_DETAILS.csv")


@pytest.mark.parametrize(
    ("analyte", "unit", "factor"),
    [
        # UCUM
        ("CRP", "mg/dL", 10.0),
        ("ALB", "g/L", 0.1),
        ("Fibrinogen", "g/L", 100.0),
        ("D-dimer", "ug/L", 0.001),
        ("ALT", "kU/L", 1000.0),
        ("ALT", "ukat/L", 60.0),  # 1 umol/s
        ("WBC", "10*3/uL", 1.0),
        ("WBC", "/nL", 1.0),
        ("PLT", "10*3{cells}/uL", 1.0),
        ("A/G", "%", 0.01),
        # what laboratories write
        ("WBC", "x10E9/L", 1.0),
        ("WBC", "x10E3/uL", 1.0),
        ("WBC", "10^9/L", 1.0),
        ("WBC", "10⁹/L", 1.0),
        ("WBC", "x 10³/µL", 1.0),
        ("WBC", "10*3/mm3", 1.0),
        ("WBC", "K/uL", 1.0),  # not kelvin
        ("WBC", "G/L", 1.0),  # giga
        ("HGB", "G/L", 0.1),  # gram
        ("WBC", "cells/uL", 0.001),
        ("CRP", "mg/dl", 10.0),
        ("CRP", "MG/L", 1.0),
        ("CRP", "mcg/mL", 1.0),
        ("ALT", "IU/L", 1.0),
        ("ESR", "mm/hr", 1.0),
        ("A/G", "", 1.0),
        ("A/G", "ratio", 1.0),
        ("D-dimer", "ug/mL FEU", 1.0),
        ("D-dimer", "ng/mL{FEU}", 0.001),
        # moles and equivalents: the factors of the AMA Manual of Style, 17.5
        ("Creatinine", "umol/L", 1 / 88.4),
        ("Creatinine", "µmol/l", 1 / 88.4),
        ("Ca", "mmol/L", 1 / 0.2495),
        ("Ca", "mEq/L", 0.5 / 0.2495),
        ("P", "mmol/L", 1 / 0.3229),
        ("Uric acid", "umol/L", 1 / 59.48),
        ("HGB", "mmol/L", 1 / 0.6206),
        ("Fibrinogen", "umol/L", 1 / 0.0294),
    ],
)
def test_units_become_the_panels(analyte, unit, factor):
    assert canonical_factor(PANEL[analyte], unit) == pytest.approx(factor, rel=5e-4)


def test_powers_of_ten_are_exact():
    assert canonical_factor(PANEL["WBC"], "10*3/uL") == 1.0
    assert canonical_factor(PANEL["ALB"], "g/L") == 0.1


@pytest.mark.parametrize(
    ("analyte", "unit"),
    [
        ("WBC", "U/L"),
        ("WBC", "%"),  # another quantity, the share of the white cells
        ("WBC", "[IU]/L"),
        ("WBC", "[arb'U]/mL"),
        ("WBC", "rad/L"),
        ("WBC", "mol/L"),
        ("WBC", "10*99/L"),
        ("WBC", "G"),
        ("ALB", ""),
        ("ALB", "umol/L"),  # no agreed molar mass
        ("CRP", "nmol/L"),
        ("P", "mEq/L"),  # its charge depends on pH
        ("ALT", "mg/dL"),
        ("ESR", "mm"),
        ("A/G", "10*3"),
        ("A/G", "%2"),
    ],
)
def test_units_of_something_else_are_refused(analyte, unit):
    with pytest.raises(CohortError, match=f"expected a unit of {analyte}, e.g. .*, got .*; correct it"):
        canonical_factor(PANEL[analyte], unit)


@pytest.mark.parametrize(
    "unit", ["foo", "mg//dL", "103/uL", "{}", "5", "x10E/L", "Cel/", "mg/L DDU", "ng/mL{DDU}", "é", "u" * 40]
)
def test_units_that_cannot_be_read_are_refused(unit):
    with pytest.raises(CohortError, match="expected a unit that can be read, got .*; write it in UCUM, e.g. mg/L"):
        canonical_factor(PANEL["D-dimer"], unit)


def test_fibrinogen_equivalents_are_of_d_dimer_only():
    with pytest.raises(CohortError, match="expected a unit that can be read, got 'mg/L FEU'"):
        canonical_factor(PANEL["CRP"], "mg/L FEU")


@pytest.mark.parametrize("analyte", blood_panel(), ids=lambda analyte: analyte.name)
def test_the_panels_own_units_can_be_read(analyte):
    (quantity,) = read_unit(analyte.unit)
    assert float(quantity.magnitude) == 1.0
    assert canonical_factor(analyte, analyte.unit) == 1.0


def test_every_spelling_leads_to_ucum():
    for spelling, codes in SPELLINGS.items():
        assert len(read_unit(spelling)) == len(codes), spelling
        assert all(len(read_unit(code)) == 1 for code in codes), spelling


@settings(max_examples=300)
@given(
    st.sampled_from(blood_panel()),
    st.text(max_size=12)
    | st.from_regex(r"[xX*]?10?[*^eE]?[0-9]{0,3}[kmunpGMK]?[gLlU%mol\[\]IU{}./'-]{0,6}/?[dmuK]?[Ll]?", fullmatch=True),
)
def test_any_unit_gives_a_factor_or_a_reason(analyte, unit):
    try:
        factor = canonical_factor(analyte, unit)
    except CohortError:
        return
    assert 1e-12 < factor < 1e12


@pytest.fixture(scope="module")
def lab_details():
    if not LAB_DETAILS.is_file():
        pytest.skip("no LAB_DETAILS.csv")
    with LAB_DETAILS.open(encoding="utf-8", newline="") as file:
        return {row["short_name"]: re.findall("'([^']*)'", row["units"]) for row in csv.DictReader(file)}


def test_the_units_of_93_tests_can_be_read(lab_details):
    assert len(lab_details) == 93
    unread = {unit for units in lab_details.values() for unit in units if not read_unit(unit)}
    assert unread == {"INR", "FL", "mmHg", "seconds", "index"}  # of no analyte of the panel


def test_the_units_of_the_panels_tests_convert(lab_details):
    names = {
        "WBC": "WBC", "Neutrophils, Abs": "Neutrophils", "Lymphocytes, Abs": "Lymphocytes",
        "Monocytes, Abs": "Monocytes", "Platelets": "PLT", "Hemoglobin": "HGB", "Albumin": "ALB",
        "Total Globulin": "GLB", "Fibrinogen": "Fibrinogen", "Creatinine": "Creatinine", "Uric Acid": "Uric acid",
        "Calcium": "Ca", "Phosphorus": "P", "Alk. Phosphatase": "ALP", "AST": "AST", "ALT": "ALT", "GGT": "GGT",
        "LDH": "LDH", "ESR": "ESR", "CRP": "CRP",
    }  # fmt: skip
    refused = set()
    for test, name in names.items():
        for unit in lab_details[test]:
            try:
                canonical_factor(PANEL[name], unit)
            except CohortError:
                refused.add((name, unit))
    assert refused == {("ALB", "mmol/L"), ("ALB", "umol/L"), ("CRP", "nmol/L")}
