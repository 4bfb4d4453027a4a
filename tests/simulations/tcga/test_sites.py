"""Barcodes, tissue source site codes and the rule for small sites."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadInput, CohortError
from simulations.hospitals import site_of_patients, split_cohort
from simulations.tcga.barcodes import case_of, is_tcga, other_programmes, programme_of, site_of
from simulations.tcga.merge_small import RULES, Rule, merge_small_sites, rule_of
from simulations.tcga.tissue_source_sites import site_notes, tissue_source_sites

GLIOMA = dict(  # noqa: C408
    HT=100, DU=84, S9=48, FG=39, DB=34, QH=21, TM=19, E1=19, CS=18, TQ=16, DH=15, P5=14, HW=14, VM=8, WY=7, RY=7,
    R8=4, VV=2, KT=2, IK=2, F6=2, WH=1, W9=1, FN=1, EZ=1,
) | {"06": 40, "27": 12, "19": 9, "26": 7, "14": 7, "12": 7, "41": 5, "15": 1, "08": 1, "02": 1}  # fmt: skip
"""Patients a site of the glioma tables that DATA.md describes."""


def sites(counts: dict[str, int]) -> dict[str, str]:
    return {f"TCGA-{code}-{i:04d}": code for code, n in counts.items() for i in range(n)}


def sizes(found: dict[str, str]) -> dict[str, int]:
    return {str(site): int(n) for site, n in pd.Series(found).value_counts().items()}


def test_the_table_has_every_code_of_the_glioma_tables() -> None:
    table = tissue_source_sites()
    assert GLIOMA.keys() <= table.keys()
    assert sum(site.tumour == "BRCA" for site in table.values()) == 40
    assert (table["06"].hospital, table["06"].state, table["06"].tumour) == ("Henry Ford Hospital", "MI", "GBM")
    assert table["DU"].hospital == table["06"].hospital
    assert table["HT"].hospital == table["FG"].hospital == "Case Western"
    for site in table.values():
        assert len(site.code) == 2
        assert site.hospital
        assert site.kind in ("hospital", "broker")
        assert site.tumour in ("GBM", "LGG", "BRCA")
        assert bool(site.region) == bool(site.country) == (site.kind == "hospital")
        assert not site.state or site.region


def test_no_rule_changes_nothing() -> None:
    assert merge_small_sites(sites(GLIOMA), "none", 20) == (sites(GLIOMA), [])


def test_small_sites_join_their_hospital() -> None:
    found, notes = merge_small_sites(sites(GLIOMA), "hospital", 20)
    size = sizes(found)
    assert size["HT"] == 109  # 19 joins the largest site of Case Western
    assert size["FG"] == 39  # which is not small
    assert size["DB"] == 35  # 15: Mayo Clinic
    assert size["QH"] == 33  # 27: Fondazione Besta
    assert size["Duke"] == 26  # 12 and E1, both small, are large together
    assert size["DU"] == 84
    assert size["06"] == 40
    assert sum(size.values()) == 569
    assert "Merged by hospital: 12 (7), E1 (19) are site Duke (Duke), 26 patients." in notes
    assert (
        "Merged by hospital: 41 (5), IK (2) are site Christiana_Healthcare (Christiana Healthcare), 7 patients; "
        "still fewer than 20, so unseen."
    ) in notes


def test_what_is_still_small_joins_the_small_sites_of_its_state_and_then_of_its_region() -> None:
    by_state, _ = merge_small_sites(sites(GLIOMA), "state", 20)
    assert sizes(by_state)["CA_small"] == 10  # 08 and RY are one hospital, VV another
    found, notes = merge_small_sites(sites(GLIOMA), "region", 20)
    size = sizes(found)
    assert size["Northeast_small"] == 18 + 14 + 2  # CS, HW, KT
    assert size["TM"] == 19  # the only site of Oceania
    assert size["P5"] == 14  # a broker joins nobody
    assert size["HT"] == 109  # large sites stay as they are
    assert sum(size.values()) == 569
    assert all(note.startswith("Merged by ") for note in notes)


def test_hand_counted_levels() -> None:
    counts = {"26": 3, "EW": 4, "14": 5, "V7": 2, "QQ": 1, "A8": 1, "DU": 30}
    by_state, _ = merge_small_sites(sites(counts), "state", 8)
    assert sizes(by_state) == {"FL_small": 7, "GA_small": 7, "QQ": 1, "A8": 1, "DU": 30}
    found, notes = merge_small_sites(sites(counts), "region", 8)
    assert sizes(found) == {"South_small": 14, "QQ": 1, "A8": 1, "DU": 30}
    assert notes == [
        "Merged by state: 26 (3), EW (4) are site FL_small (FL), 7 patients; still fewer than 8, so unseen.",
        "Merged by state: 14 (5), V7 (2) are site GA_small (GA), 7 patients; still fewer than 8, so unseen.",
        "Merged by region: 14 (5), 26 (3), EW (4), V7 (2) are site South_small (South), 14 patients.",
    ]


def test_another_rule_is_refused() -> None:
    assert rule_of("state") == "state"
    with pytest.raises(BadInput, match="--merge-small: expected one of none, hospital, state, region, got 'city'"):
        rule_of("city")


def test_notes_about_codes() -> None:
    assert site_notes(["QQ", "ZZ"]) == []  # none of TCGA's
    assert site_notes(["HT", "S9"]) == []
    assert site_notes(["HT", "QQ", "QQ"]) == [
        "Site codes that the packaged table does not have stay codes: QQ (2 patients)."
    ]
    assert site_notes(["06", "DU"]) == [
        "Several site codes are one hospital, yet count as several sites: 06 and DU: Henry Ford Hospital."
    ]
    assert "different tumours (BRCA, glioma)" in site_notes(["06", "HT", "A1"])[0]


def test_barcodes() -> None:
    assert is_tcga("TCGA-02-0001")
    assert is_tcga("TCGA-02-0001-01A-11R-1850-01")
    assert not is_tcga("TCGA-021-0001")
    assert not is_tcga("TARGET-30-PAISNS")
    assert (case_of("TCGA-02-0001-01A"), site_of("TCGA-02-0001-01A")) == ("TCGA-02-0001", "02")
    assert (case_of("P1"), site_of("P1")) == ("P1", "")
    names = {"TARGET-30-PAISNS": "TARGET", "C3L-00001": "CPTAC", "C3N-1": "CPTAC", "P1": "", "TCGA-02-0001": "TCGA"}
    assert {name: programme_of(name) for name in names} == names
    assert other_programmes(["TCGA-02-0001"]) == ""
    assert other_programmes([*names, "C3L-2", "P2"]) == "3 of CPTAC and 1 of TARGET and 2 others"


def test_barcodes_of_other_programmes_are_named() -> None:
    clinical = pd.DataFrame({"case_id": ["C3L-00001", "C3L-00002", "TCGA-02-0001"], "ward": ["a", "a", "b"]})
    with pytest.raises(CohortError, match="expected TCGA barcodes for --split tss, got 2 of CPTAC; use --split column"):
        site_of_patients(clinical, "tss")
    with pytest.raises(
        CohortError, match="expected TCGA barcodes, which name the hospital, or a column 'site' .* 2 of"
    ):
        site_of_patients(clinical, None)
    assert site_of_patients(clinical, "column:ward")["C3L-00001"] == "a"


@given(
    st.dictionaries(st.sampled_from([*sorted(tissue_source_sites()), "QQ", "ZZ"]), st.integers(1, 30), min_size=1),
    st.sampled_from(RULES),
    st.integers(1, 25),
)
def test_merging_loses_nobody_and_leaves_large_sites_apart(counts: dict[str, int], rule: Rule, least: int) -> None:
    before = sites(counts)
    found, notes = merge_small_sites(before, rule, least)
    assert found.keys() == before.keys()
    for code in counts:  # a code stays together
        assert len({found[case] for case, site in before.items() if site == code}) == 1
    large = [code for code, count in counts.items() if count >= least]
    assert len({found[next(case for case in before if before[case] == code)] for code in large}) == len(large)
    assert len(set(found.values())) <= len(counts)
    assert bool(notes) == (len(set(found.values())) < len(counts))
    again, _ = merge_small_sites(before, rule, least)
    assert again == found


def test_a_cohort_is_split_into_merged_sites(make_cohort: Callable[..., Path], tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"12": 3, "E1": 4, "06": 9, "QQ": 2})
    said: list[str] = []
    hospitals = split_cohort(cohort, "tss", tmp_path / "cache", merge="hospital", least=7, say=said.append)
    assert [hospital.id for hospital in hospitals] == ["06", "Duke", "QQ"]
    assert "Merged by hospital: 12 (3), E1 (4) are site Duke (Duke), 7 patients." in said
    assert any("QQ (2 patients)" in sentence for sentence in said)
    apart = split_cohort(cohort, None, tmp_path / "cache")
    assert [hospital.id for hospital in apart] == ["06", "12", "E1", "QQ"]
    assert apart[0].folder != hospitals[0].folder
    with pytest.raises(BadInput, match="--merge-small: expected --split tss beside it, got column:sex; leave one of"):
        split_cohort(cohort, "column:sex", tmp_path / "cache", merge="state")
