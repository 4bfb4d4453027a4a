"""Every stress of files changes exactly what it says, in real files, and `prepare` finds what was changed."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from client.prepare.preparation import prepare
from client.prepare.settings import PrepareSettings
from shared.cohort.sheets import read_sheet
from shared.cohort.tables import read_expression
from shared.digests import sha256_file
from shared.errors import CohortError
from shared.site import read_site
from simulations.hospitals import Hospital
from simulations.stresses.curve import Base, Curve, Dosed, Line
from simulations.stresses.expression_batch import BATCH, shifted
from simulations.stresses.label_noise import LABELS, largest
from simulations.stresses.missing_modality import MISSING
from simulations.stresses.prepared import refusals
from simulations.stresses.unit_mistakes import UNITS, other_numbers

OUTCOME = "grade"


def line_of(curve: Curve, base: Base, name: str) -> Line:
    return next(line for line in curve.lines(base.study) if line.name == name)


def files_of(hospital: Hospital) -> dict[str, str]:
    """Every file of the data folder by its hash, and the site file."""
    data = hospital.folder / "data"
    found = {str(path.relative_to(data)): sha256_file(path) for path in data.rglob("*") if path.is_file()}
    return {**found, "site.toml": sha256_file(hospital.site_file)}


def changed(base: Base, dosed: Dosed) -> dict[str, set[str]]:
    """Hospital -> the files that are not as they were; untouched hospitals are left out."""
    found: dict[str, set[str]] = {}
    for before, after in zip(base.hospitals, dosed.hospitals, strict=True):
        assert before.id == after.id
        old, new = files_of(before), files_of(after)
        names = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        if names:
            found[after.id] = names
        else:
            assert after.folder == before.folder
    return found


def clinical(dosed: Dosed) -> Mapping[str, pd.DataFrame]:
    return {h.id: read_sheet(h.folder / "data" / "clinical.tsv").set_index("case_id") for h in dosed.hospitals}


def test_a_batch_effect_changes_every_expression_table_and_nothing_else(base: Base) -> None:
    dosed = BATCH.apply(base, line_of(BATCH, base, "federated"), 1.0)
    assert changed(base, dosed) == {h.id: {"expression.tsv.gz"} for h in base.hospitals}
    before, after = (read_expression(hospitals[0].folder / "data") for hospitals in (base.hospitals, dosed.hospitals))
    assert before is not None
    assert after is not None
    assert list(before.columns) == list(after.columns)
    assert list(before.index) == list(after.index)
    assert 0.7 < float((after.mean(axis=1) - before.mean(axis=1)).std()) < 1.3  # SD of the shift, in log2 units


def test_a_batch_effect_stretches_about_the_centre_and_keeps_the_scale() -> None:
    table = pd.DataFrame([[1.0, 3.0], [7.0, 15.0]], index=["A", "B"], columns=["p", "q"])
    centre = pd.Series([1.5, 3.5], index=["A", "B"])
    assert np.allclose(shifted(table, centre, 0.0, 1, "tpm"), table)
    logs = np.log2(shifted(table, centre, 0.5, 1, "tpm").to_numpy() + 1)
    stretch = np.diff(logs, axis=1).ravel()  # both genes differ by 1 between the patients
    assert np.allclose(stretch, stretch[0])
    assert stretch[0] != pytest.approx(1.0)


def test_label_noise_changes_training_patients_alone_and_the_share_asked_for(base: Base) -> None:
    every = line_of(LABELS, base, "all")
    dosed = LABELS.apply(base, every, 0.5)
    assert changed(base, dosed) == {site: {"clinical.tsv"} for site in base.fold.training}
    before, after = clinical(Dosed(list(base.hospitals))), clinical(dosed)
    for site in base.fold.training:
        data = base.fold.sites[site]
        trained = set(data.patients.case_id[~data.test].tolist())
        differ = set(after[site].index[after[site][OUTCOME] != before[site][OUTCOME]])
        assert differ <= trained
        assert len(differ) == round(0.5 * len(trained))
        assert before[site].drop(columns=OUTCOME).equals(after[site].drop(columns=OUTCOME))
        mild = clinical(LABELS.apply(base, every, 0.2))[site]
        assert set(mild.index[mild[OUTCOME] != before[site][OUTCOME]]) <= differ


def test_label_noise_at_one_hospital_is_at_the_largest(base: Base) -> None:
    assert largest(base).id == max(base.fold.training, key=lambda site: int((~base.fold.sites[site].test).sum()))
    assert set(changed(base, LABELS.apply(base, line_of(LABELS, base, "one"), 1.0))) == {largest(base).id}


def test_a_missing_modality_is_gone_from_the_share_of_training_hospitals(base: Base) -> None:
    few = changed(base, MISSING.apply(base, line_of(MISSING, base, "blood"), 0.4))
    more = changed(base, MISSING.apply(base, line_of(MISSING, base, "blood"), 0.8))
    assert all(names == {"blood.csv"} for names in more.values())
    assert (len(few), len(more)) == (2, 4)
    assert few.keys() < more.keys() <= set(base.fold.training)


def test_tpm_where_log2_is_declared_is_refused_by_prepare(base: Base) -> None:
    dosed = UNITS.apply(base, line_of(UNITS, base, "expression_tpm"), 2)
    struck = changed(base, dosed)
    assert len(struck) == 2
    assert all(names == {"expression.tsv.gz"} for names in struck.values())
    for hospital in dosed.hospitals:
        prepare(read_site(hospital.site_file), PrepareSettings.of(base.study))
    said = refusals(base.hospitals, dosed.hospitals, base.study)
    assert [(row["file"], row["hospitals"]) for row in said] == [("expression.tsv.gz", sorted(struck))]
    assert "expression.scale = 'log2'" in said[0]["reason"]


def test_natural_logarithms_get_through(base: Base) -> None:
    dosed = UNITS.apply(base, line_of(UNITS, base, "expression_ln"), 1)
    (site,) = changed(base, dosed)
    hospital = next(h for h in dosed.hospitals if h.id == site)
    prepare(read_site(hospital.site_file), PrepareSettings.of(base.study))
    assert refusals(base.hospitals, dosed.hospitals, base.study) == []
    before = next(h for h in base.hospitals if h.id == site)
    tables = [read_expression(h.folder / "data") for h in (before, hospital)]
    assert tables[0] is not None
    assert tables[1] is not None
    assert np.allclose(tables[1], tables[0] * np.log(2), atol=1e-3)


def test_mistakes_are_refused_where_nobody_could_make_them(
    base: Base, make_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(
        CohortError, match="expected 6 training hospitals with blood.csv, got 5; choose smaller --doses"
    ):
        UNITS.apply(base, line_of(UNITS, base, "blood_values"), 6)
    z_scored = make_cohort(tmp_path / "z", {"02": 25})
    assert UNITS.fault(base.study, z_scored) == (
        "units: expected expression in log2, which can be mistaken, got z; leave it out"
    )
    assert UNITS.fault(base.study, base.cohort) == ""


def test_a_result_in_the_other_unit_keeps_the_declared_one() -> None:
    rows = [
        ("718-7", "13.5", "g/dL", "12", "16"),
        ("718-7", "135", "g/L", "120", "160"),
        ("1742-6", "30", "U/L", "7", "35"),
    ]
    table = pd.DataFrame(rows, columns=["analyte", "value", "unit", "ref_low", "ref_high"])
    values = other_numbers(table, ("value",))
    assert [float(value) for value in values["value"]] == pytest.approx([135, 13.5, 30])
    assert values.drop(columns="value").equals(table.drop(columns="value"))
    both = other_numbers(table, ("value", "ref_low", "ref_high"))
    assert [float(low) for low in both["ref_low"]] == pytest.approx([120, 12, 7])


def test_a_dosed_folder_is_written_once_and_shares_what_did_not_change(base: Base) -> None:
    first, second = (MISSING.apply(base, line_of(MISSING, base, "blood"), 0.2) for _ in range(2))
    (site,) = changed(base, first)
    folder = next(h for h in first.hospitals if h.id == site).folder
    assert folder == next(h for h in second.hospitals if h.id == site).folder
    before = next(h for h in base.hospitals if h.id == site).folder
    for name in ("data/expression.tsv.gz", "data/clinical.tsv", "site.toml"):
        assert (folder / name).samefile(before / name)
    assert not list(Path(folder).parent.glob(".*"))  # no draft is left
