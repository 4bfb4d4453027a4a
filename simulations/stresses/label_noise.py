"""Stress: training patients whose outcome is written down wrongly. Test patients keep theirs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from shared.cohort.sheets import read_sheet
from shared.digests import sha256_json
from shared.seeds import derive_seed
from shared.study import Study, SurvivalTask
from simulations.hospitals import Hospital
from simulations.stresses.curve import Base, Curve, Dosed, Line, trained_hospitals
from simulations.stresses.dosed_folders import dosed_hospitals
from simulations.synthetic.tables import write_rows

__all__ = ["LABELS", "largest", "mislabelled"]


def largest(base: Base) -> Hospital:
    """The hospital with most training patients, whose word weighs most."""
    return max(trained_hospitals(base), key=lambda h: (int((~base.fold.sites[h.id].test).sum()), h.id))


def mislabelled(base: Base, hospitals: Sequence[Hospital], share: float) -> Dosed:
    """A `share` of the training patients of `hospitals` gets the outcome of a patient of another class.

    The other class is drawn with equal chances from those that any training hospital has; for survival it is the time
    and event of any other training patient. A higher share changes the patients of a lower one alike, and more.
    """
    columns = list(base.study.task.columns)  # type: ignore[union-attr]  # a detector has no labels, nor features
    trained = pd.concat([_trained(base, hospital, columns) for hospital in trained_hospitals(base)])
    decides = [share, base.study.seed, sha256_json(sorted(trained.index)), columns]
    changes: dict[str, dict[str, Callable[[Path], None] | None]] = {}
    for hospital in hospitals:
        mine = trained.index[trained["site"] == hospital.id]
        rng = np.random.default_rng(derive_seed(base.study.seed, "stress labels", hospital.id))
        order, donors = rng.permutation(len(mine)), [_donor(trained, case, rng) for case in mine]
        table = read_sheet(hospital.folder / "data" / "clinical.tsv").set_index("case_id", drop=False)
        for place in order[: round(share * len(mine))].tolist():
            table.loc[mine[place], columns] = trained.loc[donors[place], columns].to_numpy()
        changes[hospital.id] = {"clinical.tsv": _writer(table)}
    return Dosed(dosed_hospitals(base, "labels", decides, changes))


def _trained(base: Base, hospital: Hospital, columns: list[str]) -> pd.DataFrame:
    """The hospital's training patients by case_id: the cells of their outcome, `site` and `kind`, the class."""
    data = base.fold.sites[hospital.id]
    table = read_sheet(hospital.folder / "data" / "clinical.tsv").set_index("case_id")
    cells = table.loc[data.patients.case_id.tolist(), columns]
    survival = isinstance(base.study.task, SurvivalTask)
    # of survival times every other one is another
    kind = data.patients.case_id if survival else data.patients.y.astype(str)
    labelled: pd.DataFrame = cells.assign(site=hospital.id, kind=kind)[~data.test]
    return labelled


def _donor(trained: pd.DataFrame, case: str, rng: np.random.Generator) -> str:
    """A training patient of another class; the patient itself where there is no other."""
    kinds = sorted(set(trained["kind"]) - {trained.loc[case, "kind"]})
    if not kinds:
        return case
    others = trained.index[trained["kind"] == kinds[int(rng.integers(len(kinds)))]]
    return str(others[int(rng.integers(len(others)))])


def _writer(table: pd.DataFrame) -> Callable[[Path], None]:
    rows = [tuple(table.columns), *table.itertuples(index=False, name=None)]
    return lambda path: write_rows(path, "\t", rows)


def _apply(base: Base, line: Line, dose: float) -> Dosed:
    return mislabelled(base, [largest(base)] if line.name == "one" else trained_hospitals(base), dose)


def _lines(study: Study) -> tuple[Line, ...]:
    return (
        Line("all", "at every hospital"),
        Line("one", "at the largest hospital alone"),
        Line("local", "each hospital alone", arm="local"),
    )


LABELS = Curve(
    name="labels",
    title="Label noise",
    axis="share of training labels that are another class",
    doses=(0, 0.2, 0.4, 0.6),
    highest=1,
    lines=_lines,
    apply=_apply,
    says="Outcomes of training patients are exchanged in clinical.tsv for that of another class; test patients and "
    "hospitals that never train keep theirs.",
)
