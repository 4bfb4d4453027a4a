import pytest

from shared.cohort.blood import analyte_codes, blood_panel, panel_analyte


def test_panel_has_22_analytes_with_distinct_names():
    panel = blood_panel()
    assert len(panel) == 22
    assert panel[0].loinc == "6768-6"
    assert len(set(analyte_codes().values())) == 22
    words = [
        word
        for a in panel
        for word in {w.lower() for w in (a.loinc, a.name, a.long_name)} | {*map(str.lower, a.aliases)}
    ]
    assert len(words) == len(set(words)) == len(analyte_codes())


def test_an_analyte_is_known_by_code_by_both_names_and_by_its_aliases():
    codes = analyte_codes()
    assert codes["6768-6"] == codes["alp"] == codes["alkaline phosphatase"] == codes["alk phos"] == "6768-6"
    assert codes["14682-9"] == codes["crea"] == "2160-0"  # in moles, the same quantity


def test_what_converts_moles():
    assert panel_analyte("17861-6").molar_mass == 40.078
    assert panel_analyte("17861-6").valence == 2
    assert panel_analyte("1751-7").molar_mass is None


def test_a_code_of_no_panel_analyte():
    with pytest.raises(KeyError):
        panel_analyte("14682-9")
