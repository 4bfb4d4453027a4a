from shared.cohort.blood import analyte_codes, blood_panel


def test_panel_has_22_analytes_with_distinct_names():
    panel = blood_panel()
    assert len(panel) == 22
    assert panel[0].loinc == "6768-6"
    assert len(analyte_codes()) >= 22 * 2
    assert len(set(analyte_codes().values())) == 22


def test_an_analyte_is_known_by_code_and_by_both_names():
    codes = analyte_codes()
    assert codes["6768-6"] == codes["alp"] == codes["alkaline phosphatase"] == "6768-6"
