"""A resolved study says everything: gene groups and analytes in full."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.cohort.genes import groups_digest
from shared.errors import StudyError
from shared.resolve import resolve
from shared.study import Study, parse_study

GMT = "one\tdescription\tTP53\tEGFR\ntwo\t\tIDH1\n"


def study_of(**modalities: Any) -> Study:
    return parse_study(
        {
            "schema": 1,
            "name": "s",
            "task": {"kind": "survival"},
            "model": {"architecture": "linear"},
            "modalities": modalities,
        }
    )


def test_the_panel_and_the_analytes_are_filled_in() -> None:
    study = resolve(study_of(expression={}, blood={}))
    use = study.modalities
    assert use.expression is not None
    assert use.blood is not None
    assert len(use.expression.groups) == 6
    assert use.expression.genes_sha256 == groups_digest(use.expression.groups)
    assert "6768-6" in use.blood.analytes
    assert study.digest != study_of(expression={}, blood={}).digest


def test_resolving_again_changes_nothing() -> None:
    study = resolve(study_of(expression={}, blood={}, clinical={}))
    assert resolve(study) is study
    assert resolve(parse_study(json.loads(study.canonical()))).digest == study.digest


def test_a_study_without_references_is_already_resolved() -> None:
    study = study_of(clinical={})
    assert resolve(study) is study


def test_where_the_gene_file_lies_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a.gmt").write_text(GMT)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.gmt").write_text("\n".join(reversed(GMT.splitlines())) + "\n")
    one = resolve(study_of(expression={"genes": "a.gmt"}), folder=tmp_path)
    two = resolve(study_of(expression={"genes": str(tmp_path / "deep" / "b.gmt")}))
    assert one.modalities.expression is not None
    assert one.modalities.expression.groups == {"one": ("EGFR", "TP53"), "two": ("IDH1",)}
    assert one.digest == two.digest


def test_another_gene_file_than_the_study_was_written_for_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gmt").write_text(GMT)
    with pytest.raises(
        StudyError, match=r"genes_sha256: expected .*\(that of a.gmt\), got 000000000000\.\.\.; use the"
    ):
        resolve(study_of(expression={"genes": "a.gmt", "genes_sha256": "0" * 64}), folder=tmp_path)


def test_only_a_simulation_can_take_the_genes_of_its_cohort() -> None:
    with pytest.raises(StudyError, match='got "cohort", which only a simulation can resolve; name a GMT file'):
        resolve(study_of(expression={"genes": "cohort"}))


def test_mutations_must_be_listed() -> None:
    with pytest.raises(StudyError, match="aux_columns: expected the columns by name, .* got none; list them"):
        resolve(study_of(expression={"aux": ["mutations"]}))
