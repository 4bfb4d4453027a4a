"""Stress: what each hospital's sequencing adds to every gene, and by how much it stretches differences."""

from pathlib import Path

import numpy as np
import pandas as pd

from shared.cohort.tables import read_expression
from shared.seeds import derive_seed
from shared.site import read_site
from shared.study import Study
from simulations.stresses.curve import Base, Curve, Dosed, Line
from simulations.stresses.dosed_folders import dosed_hospitals, expression_file, packed_expression

__all__ = ["BATCH"]

STRETCH = 0.25
"""SD of the log of the stretch, at dose 1."""


def shifted(table: pd.DataFrame, centre: "pd.Series[float]", dose: float, seed: int, scale: str) -> pd.DataFrame:
    """A table (genes, patients) with a batch effect: on the log scale, stretched about `centre` and shifted.

    Parameters
    ----------
    centre
        Mean of each gene over all hospitals, on the log scale.
    dose
        SD of the shift of a gene, in log2 units; the stretch is exp(dose x STRETCH x a normal number).
    scale
        That of the table, as in the site file; TPM and counts are shifted as log2(x + 1) and written back as they were.
    """
    rng = np.random.default_rng(seed)
    shift, stretch = dose * rng.normal(0, 1, len(table)), float(np.exp(dose * STRETCH * rng.normal()))
    middle = centre.reindex(table.index).to_numpy()[:, None]
    values = middle + stretch * (_to_log(table, scale) - middle) + shift[:, None]
    if scale in ("tpm", "counts"):
        values = np.exp2(np.clip(values, 0, None)) - 1
    elif scale == "log2":
        values = np.clip(values, 0, None)
    return pd.DataFrame(values, index=table.index, columns=table.columns)


def _to_log(table: pd.DataFrame, scale: str) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    values = table.to_numpy(dtype=np.float64)
    return np.log2(values + 1) if scale in ("tpm", "counts") else values


def _apply(base: Base, line: Line, dose: float) -> Dosed:
    tables = {h.id: read_expression(h.folder / "data") for h in base.hospitals if expression_file(h) is not None}
    scales = {h.id: read_site(h.site_file).expression.scale for h in base.hospitals}
    whole = pd.concat(
        [
            pd.DataFrame(_to_log(table, scales[site]), index=table.index, columns=table.columns)
            for site, table in tables.items()
            if table is not None
        ],
        axis=1,
    )
    centre, seed, changes = whole.mean(axis=1), base.study.seed - base.study.split.repeat, {}
    for hospital in base.hospitals:
        table, file = tables.get(hospital.id), expression_file(hospital)
        if table is None or file is None:
            continue
        drawn = derive_seed(seed, "stress batch", hospital.id)
        changed = shifted(table, centre, dose, drawn, scales[hospital.id])
        changes[hospital.id] = {file.name: packed_expression(changed)}
    return Dosed(dosed_hospitals(base, "batch", [dose, seed], changes))


def _lines(study: Study) -> tuple[Line, ...]:
    own = study.modalities.expression.normalise if study.modalities.expression else "federated"
    words = {
        "federated": "genes scaled over the federation",
        "site": "genes scaled within each hospital",
        "rank": "genes ranked within each patient",
    }
    ways = [own, *(way for way in words if way != own)]
    scaled = [Line(way, words[way], (f'modalities.expression.normalise="{way}"',)) for way in ways]
    return (*scaled, Line("local", "each hospital alone", scaled[0].settings, arm="local"))


def _fault(study: Study, cohort: Path) -> str:
    if study.modalities.expression is not None:
        return ""
    return f"batch: expected a study with expression, got {', '.join(study.modalities.names)}; leave the curve out"


BATCH = Curve(
    name="batch",
    title="Expression batch effect",
    axis="added shift of a gene between hospitals, SD in log2 units",
    doses=(0, 0.5, 1.0, 2.0),
    highest=4,
    lines=_lines,
    apply=_apply,
    fault=_fault,
    says="Every hospital's expression.tsv is shifted gene by gene and stretched about the mean of each gene; hospitals "
    "that never train too.",
)
