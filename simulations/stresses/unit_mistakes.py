"""Stress: hospitals that write results in another unit than their files and their site file declare."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from client.prepare.blood.units import canonical_factor
from client.prepare.blood.values import parse_value
from client.prepare.expression.scale import likely_scale
from shared.cohort.blood import analyte_codes, blood_panel
from shared.cohort.sheets import read_sheet
from shared.cohort.tables import read_expression
from shared.errors import CohortError
from shared.study import Study
from simulations.hospitals import Hospital
from simulations.stresses.curve import Base, Curve, Dosed, Line, in_order
from simulations.stresses.dosed_folders import Change, dosed_hospitals, expression_file, packed_expression
from simulations.synthetic.tables import write_rows

__all__ = ["OTHER_UNIT", "UNITS"]

OTHER_UNIT = {
    "HGB": 10.0,  # g/dL -> g/L
    "ALB": 10.0,
    "GLB": 10.0,
    "CRP": 0.1,  # mg/L -> mg/dL
    "Ca": 0.2495,  # mg/dL -> mmol/L
    "P": 0.3229,
    "Creatinine": 88.42,  # mg/dL -> umol/L
    "Uric acid": 59.48,
    "D-dimer": 1000.0,  # mg/L -> ug/L
    "Fibrinogen": 0.01,  # mg/dL -> g/L
}
"""Analyte -> how many of the other customary unit make one of the panel's."""

COLUMNS = {"blood_values": ("value",), "blood_all": ("value", "ref_low", "ref_high")}


def other_numbers(table: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """blood.csv (all cells words) with `columns` in the other customary unit, and the declared unit left standing."""
    codes = {analyte.loinc: analyte for analyte in blood_panel()}
    changed = table.copy()
    for row, name, unit in zip(table.index, table["analyte"], table["unit"], strict=True):
        analyte = codes.get(analyte_codes().get(name.lower(), ""))
        if analyte is None or analyte.name not in OTHER_UNIT:
            continue
        try:
            panel = canonical_factor(analyte, unit)
            # what stands in the panel's unit becomes the other one, and the other way round
            factor = OTHER_UNIT[analyte.name] if panel == 1.0 else panel
            for column in columns:
                if table.loc[row, column]:
                    changed.loc[row, column] = f"{parse_value(table.loc[row, column]).number * factor:.6g}"
        except CohortError:  # nothing that `prepare` could use
            continue
    return changed


def _expression(hospital: Hospital, line: str) -> dict[str, Change]:
    table, file = read_expression(hospital.folder / "data"), expression_file(hospital)
    assert table is not None
    assert file is not None
    values = table.to_numpy(dtype=np.float64)
    mistaken = np.exp2(values) - 1 if line == "expression_tpm" else values * np.log(2)
    return {file.name: packed_expression(pd.DataFrame(mistaken, index=table.index, columns=table.columns))}


def _blood(hospital: Hospital, line: str) -> dict[str, Change]:
    path = hospital.folder / "data" / "blood.csv"
    table = other_numbers(read_sheet(path), COLUMNS[line])
    rows = [tuple(table.columns), *table.itertuples(index=False, name=None)]
    write: Callable[[Path], None] = lambda target: write_rows(target, ",", rows)  # noqa: E731
    return {"blood.csv": write}


def _apply(base: Base, line: Line, dose: float) -> Dosed:
    write, file = (_blood, "blood.csv") if line.name in COLUMNS else (_expression, "expression.tsv.gz")
    having = [h for h in in_order(base, "units") if (h.folder / "data" / file).is_file()]
    if dose > len(having):
        raise CohortError(
            f"expected {dose:g} training hospitals with {file}, got {len(having)}; choose smaller --doses"
        )
    changes = {hospital.id: write(hospital, line.name) for hospital in having[: int(dose)]}
    return Dosed(dosed_hospitals(base, "units", [line.name], changes))


def _lines(study: Study) -> tuple[Line, ...]:
    lines: list[Line] = []
    if study.modalities.expression:
        lines += [Line("expression_tpm", "expression: TPM for log2"), Line("expression_ln", "expression: ln for log2")]
    if study.modalities.blood:
        lines += [
            Line("blood_values", "blood: results in the other unit"),
            Line("blood_all", "blood: results and intervals"),
        ]
    return tuple(lines)


def _fault(study: Study, cohort: Path) -> str:
    if not _lines(study):
        return (
            f"units: expected a study with expression or blood, got {', '.join(study.modalities.names)}; leave it out"
        )
    table = read_expression(cohort) if study.modalities.expression else None
    scale = "log2" if table is None else likely_scale(table)
    return (
        ""
        if scale == "log2"
        else f"units: expected expression in log2, which can be mistaken, got {scale}; leave it out"
    )


UNITS = Curve(
    name="units",
    title="Unit mistakes",
    axis="training hospitals that make the mistake",
    doses=(0, 1, 3, 5),
    highest=50,
    whole=True,
    lines=_lines,
    apply=_apply,
    fault=_fault,
    says="Training hospitals write TPM or natural logarithms where their site file says log2, or blood results (and "
    "reference intervals) in the other customary unit under the unit that they declare; `prepare` sees real files.",
)
