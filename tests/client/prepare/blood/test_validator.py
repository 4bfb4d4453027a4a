import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.prepare.blood.results import Result
from client.prepare.blood.template import describe
from client.prepare.blood.validator import LONGEST, OTHER_ANALYTES, fault
from shared.cohort.blood import blood_panel, panel_analyte

ALP, CRP, WBC, RATIO, DIMER = "6768-6", "1988-5", "6690-2", "1759-0", "48065-7"
ROWS = (Result(ALP, 312, 45, 125), Result("718-7", 14, 12, 16), Result(WBC, 25.5, 4, 11))
NUMBER = "a number that the results do not hold"
ANALYTE = "an analyte that is not among the abnormal results"
PANEL = blood_panel()


@pytest.mark.parametrize(
    "text",
    [
        describe(ROWS),
        "The patient has an elevated alkaline phosphatase of 312 U/L (normal 45 to 125) and leukocytes of 25.5 10*9/L.",
        "ALP and WBC are elevated.",
        "Increased ALP (2.50 times the limit of 125); white blood cells are raised in this case of disease.",
        "ALP is high.\nLeukocytes are high.",
    ],
)
def test_texts_that_say_what_the_results_say(text):
    assert fault(text, ROWS) == ""


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ("Hemoglobin is normal.", ANALYTE),  # measured, but normal: not among what the text is about
        ("Glucose is high.", ANALYTE),
        ("GLUCOSE is high.", ANALYTE),
        ("Platelets are low.", ANALYTE),
        ("AST is high.", ANALYTE),
        ("TSH is high.", ANALYTE),
        ("HbA1c is high.", NUMBER),
        ("K is high.", ANALYTE),
        ("Lipase is high.", ANALYTE),
        ("There is hypercalcemia.", ANALYTE),
        ("There is anaemia and thrombocytopenia.", ANALYTE),
        ("Sodium is normal.", ANALYTE),
        ("It is 313.", NUMBER),
        ("It is 3120.", NUMBER),
        ("It is 31.2.", NUMBER),
        ("It is 3,12.", NUMBER),
        ("It is 312e2.", NUMBER),
        ("It is 312 mg/dL.", NUMBER),  # another unit makes another number of it
        ("It is 125%.", NUMBER),
        ("It doubled.", NUMBER),
        ("It is three times the limit.", NUMBER),
        ("A threefold rise.", NUMBER),
        ("Grade IV.", ANALYTE),
        ("It is ½ of that.", "expected plain text with the digits 0 to 9"),
        ("It is ٣.", "expected plain text with the digits 0 to 9"),
        ("It is \x00.", "expected plain text with the digits 0 to 9"),
    ],
)
def test_claims_that_the_results_do_not_make(claim, reason):
    assert fault(f"ALP and WBC are elevated. {claim}", ROWS) == reason


@pytest.mark.parametrize("text", ["", "  \n", "ALP WBC " * LONGEST])
def test_texts_of_no_or_too_great_length(text):
    assert fault(text, ROWS) == f"expected 1 to {LONGEST} characters"


@pytest.mark.parametrize("text", ["The the of of.", "ALP is elevated.", "alp and wbc are elevated.", "walpWBC"])
def test_every_abnormal_analyte_must_be_named(text):
    assert fault(text, ROWS) == "an abnormal analyte is not named"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ALP is reduced. WBC is elevated.", "a direction that the results do not have"),
        ("ALP and WBC are low", "a direction that the results do not have"),
        ("ALP is elevated, far above the lower limit of 45. WBC is elevated.", ""),
        ("Abnormal: ALP 312 U/L, WBC 25.5 10*9/L.", ""),
    ],
)
def test_what_is_elevated_must_not_be_called_reduced(text, reason):
    assert fault(text, ROWS) == reason


def test_what_is_reduced_must_not_be_called_elevated():
    rows = (Result(ALP, 30, 45, 125), Result(WBC, 25.5, 4, 11))
    assert fault("ALP is reduced; WBC is elevated.", rows) == ""
    assert fault("ALP is reduced and WBC is elevated.", rows) == ""
    assert fault("ALP is elevated; WBC is elevated.", rows) == "a direction that the results do not have"
    assert fault(describe(rows), rows) == ""


def test_an_analyte_inside_another_ones_name_is_no_mention():
    ratio = (Result(RATIO, 2.5, 1.1, 2),)
    assert fault("The albumin/globulin ratio is elevated.", ratio) == ""
    assert fault("The albumin/globulin ratio is elevated and albumin is high.", ratio) == ANALYTE
    dimer = (Result(DIMER, 3, 0, 0.5),)
    assert fault(describe(dimer), dimer) == ""
    assert fault("D-dimer and fibrinogen are elevated.", dimer) == ANALYTE


def analytes(rows):
    return [panel_analyte(row.code) for row in rows]


RESULTS = st.lists(st.sampled_from(PANEL), min_size=1, max_size=22, unique=True).flatmap(
    lambda analytes: st.tuples(
        *(
            st.builds(
                lambda code, low, width, times: Result(code, times * (low + width), low, low + width),
                st.just(analyte.loinc),
                st.floats(0.01, 500),
                st.floats(0.01, 500),
                st.floats(1.1, 900),
            )
            for analyte in analytes
        )
    )
)


@settings(max_examples=50)
@given(RESULTS)
def test_the_template_always_passes(rows):
    assert fault(describe(rows), rows) == ""


@settings(max_examples=50)
@given(RESULTS, st.integers(0, 10**6) | st.floats(0, 1e6).map(lambda x: round(x, 3)), st.integers(0, 100))
def test_a_number_put_in_anywhere_is_found(rows, number, where):
    text = describe(rows)
    held = {float(word.strip("(),.%")) for word in text.replace("-", " ").split() if word.strip("(),.")[:1].isdigit()
            and word.strip("(),.").replace(".", "").isdigit()}  # fmt: skip
    words = text.split(" ")
    cut = where % (len(words) + 1)
    forged = " ".join([*words[:cut], f"{number}", *words[cut:]])
    if float(number) not in held:
        assert fault(forged, rows) != ""


@settings(max_examples=50)
@given(RESULTS, st.sampled_from([*OTHER_ANALYTES.split("|"), *(a.long_name for a in PANEL), *(a.name for a in PANEL)]))
def test_an_analyte_added_at_the_end_is_found(rows, name):
    held = {word for row in rows for a in PANEL if a.loinc == row.code for word in (a.name, a.long_name)}
    if name not in held and not any(name in word for word in held):
        assert fault(f"{describe(rows)} Also, {name} is abnormal.", rows) != ""


@settings(max_examples=50)
@given(st.text(max_size=200), RESULTS)
def test_any_text_that_names_too_little_is_refused(text, rows):
    named = all(any(word.lower() in text.lower() for word in (a.name, a.long_name, *a.aliases)) for a in analytes(rows))
    assert named or fault(text, rows) != ""
