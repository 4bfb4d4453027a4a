import json

import pytest

from client.prepare.site_check import check
from shared.errors import CohortError
from shared.study import Study

CLINICAL = (
    "case_id\tgrading\tmonths\tdead\tage_at_diagnosis\n"
    "a\tII\t3\t1\t50\nb\tII\t0\t0\t\nc\tIV\t7\t0\t\nd\t\t\t1\t\ne\tIII\t9\tyes\t\n"
)
CLASSES = {"kind": "classification", "column": "grade", "classes": ["G2", "high"], "groups": {"G4": "high"}}
SURVIVAL = {"kind": "survival", "time_column": "os_months", "event_column": "os_event"}
RULES = '[columns]\ngrade = "grading"\nos_months = "months"\nos_event = "dead"\n[values.grade]\nII = "G2"\nIV = "G4"\n'


def study(task, **modalities):
    modalities = modalities or {"clinical": {"columns": ["age_at_diagnosis"]}}
    content = {"schema": 1, "name": "s", "task": task, "model": {"architecture": "linear"}, "modalities": modalities}
    return Study.model_validate_json(json.dumps(content))


def test_every_value_with_its_count_and_class(make_site):
    report = check(make_site({"clinical.tsv": CLINICAL}, RULES), study(CLASSES))
    values = [(v.value, v.count, v.class_) for v in report.labels.values]
    assert values == [("", 1, ""), ("II", 2, "G2"), ("III", 1, ""), ("IV", 1, "high")]
    (fault,) = report.faults
    assert "expected one of G2, high, got 'III' (1)" in fault
    assert "[values.grade] of the site file" in fault


def test_without_strangers_there_is_no_fault(make_site):
    report = check(make_site({"clinical.tsv": CLINICAL}, RULES + 'III = "G4"\n'), study(CLASSES))
    assert report.faults == ()
    assert report.labelled == 4
    assert report.modalities == {"clinical": 1}
    assert report.lines() == [
        "site A: 5 patients, 4 with the task's label",
        "  (empty)                       1   -",
        "  II                            2   G2",
        "  III                           1   high",
        "  IV                            1   high",
        "modality clinical: 1 of 5 patients",
    ]


def test_a_study_without_classes_takes_every_value(make_site):
    report = check(make_site({"clinical.tsv": CLINICAL}), study({"kind": "classification", "column": "grading"}))
    assert report.faults == ()
    assert [v.class_ for v in report.labels.values] == ["", "II", "III", "IV"]


def test_survival_lists_events(make_site):
    site = make_site({"clinical.tsv": CLINICAL}, RULES)
    report = check(site, study(SURVIVAL))
    assert [(v.value, v.count, v.class_) for v in report.labels.values] == [
        ("0", 2, "censored"),
        ("1", 2, "event"),
        ("yes", 1, ""),
    ]
    assert "os_event: expected numbers, got 'yes' (1)" in report.faults[0]
    report = check(make_site({"clinical.tsv": CLINICAL}, RULES + '[values.os_event]\nyes = "1"\n'), study(SURVIVAL))
    assert report.faults == ()
    assert report.labelled == 3  # b died at month 0, d has no time


def test_a_missing_task_column_is_a_fault(make_site):
    report = check(make_site({"clinical.tsv": CLINICAL}), study(CLASSES))
    assert "expected the column 'grade'" in report.faults[0]
    assert report.labels.values == ()


JOINED = (
    "case_id\tgrading\tidh\tmonths\tdead\na\tII\tmut\t3\t1\nb\tIV\twt\t0\t0\nc\tIV\twt\t7\t0\n"
    "d\tII\t\t\t1\ne\tII\twt\t9\t0\n"
)
SIX = {
    **{"kind": "classification", "column": "grade + idh", "classes": ["GBM", "astro", "oligo"]},
    **{"groups": {"G4 + wt": "GBM", "G2 + mut": "astro"}, "left_out": ["G2 + wt"]},
}


def test_joined_columns_with_the_mapping_of_each(make_site):
    clinical = {"columns": ["age_at_diagnosis"]}
    report = check(make_site({"clinical.tsv": JOINED}, RULES), study(SIX, clinical=clinical))
    assert [(v.value, v.count, v.class_) for v in report.labels.values] == [
        ("", 1, ""),
        ("II + mut", 1, "astro"),
        ("II + wt", 1, ""),  # left out
        ("IV + wt", 2, "GBM"),
    ]
    assert report.labelled == 3
    assert (report.faults, report.labels.nobody) == ((), ("oligo",))
    assert "  no patient here: oligo" in report.lines()
    strange = check(make_site({"clinical.tsv": JOINED.replace("mut", "mutant")}, RULES), study(SIX, clinical=clinical))
    assert "expected one of GBM, astro, oligo, got 'G2 + mutant' (1)" in strange.faults[0]
    assert "[values.grade] or [values.idh] of the site file" in strange.faults[0]


def test_every_head_is_checked_and_named(make_site):
    heads = [{"name": "death", "task": SURVIVAL}, {"name": "side", "task": {**CLASSES, "column": "side"}}]
    several = study(SIX, clinical={"columns": ["age_at_diagnosis"]}).content() | {"heads": heads}
    report = check(make_site({"clinical.tsv": JOINED}, RULES), Study.model_validate_json(json.dumps(several)))
    assert report.heads["death"].labelled == 3  # b died at month 0, d has no time
    assert "head death: 3 with its label" in report.lines()
    (fault,) = report.faults
    assert fault.startswith("head side: clinical.tsv: expected the column 'side'")


def test_modalities_and_gene_coverage(make_site):
    site = make_site(
        {
            "clinical.tsv": CLINICAL,
            "expression.tsv": "gene_symbol\ta\tb\tx\nTP53\t1\t2\t3\nOTHER\t1\t2\t3\n",
            "blood.csv": "case_id,analyte,value,unit,ref_low,ref_high\na,ALP,1,U/L,1,2\nb,Ferritin,1,ug/L,1,2\n",
            "slides.tsv": "case_id\tslide_id\na\ts1\nb\ts2\n",
            "exclude.csv": "case_id,date,reason\ne,2025-01-01,\n",
        },
        RULES,
    )
    (site.data / "slides/s1.svs").touch()
    groups = {"suppressors": ["TP53", "RB1"], "none": ["EGFR"]}
    report = check(site, study(CLASSES, slides={}, expression={"groups": groups}, blood={}))
    assert report.modalities == {"slides": 1, "expression": 2, "blood": 1}
    assert report.coverage == {"suppressors": (1, 2), "none": (0, 1)}
    assert (report.patients, report.excluded, report.faults) == (4, 1, ())
    assert "genes of 'suppressors': 1 of 2" in report.lines()
    assert "  1 excluded by exclude.csv" in report.lines()


def test_a_rule_that_does_not_fit_is_refused(make_site):
    with pytest.raises(CohortError, match="expected the column 'grading', from which"):
        check(make_site({"clinical.tsv": "case_id\tsex\na\tm\n"}, '[columns]\ngrade = "grading"\n'), study(CLASSES))
