"""metrics.json of a simulation (CONTRACT.md section 7)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import flwr
import numpy as np
import torch
from lifelines import KaplanMeierFitter

from server.private_results import privacy_of_sites
from shared import __version__
from shared.cohort.patients import Patients
from shared.metrics import MAIN, Scored, Value
from shared.study import ClassificationTask, Study, SurvivalTask
from shared.weights import new_model
from simulations.attention import Pictures
from simulations.averages import average, by_site, difference
from simulations.fold import Fold
from simulations.iid import IID
from simulations.left_out import left_out
from simulations.multiplicity import compared, holm
from simulations.scores import BySite, Measured, Scores

__all__ = ["RunRecord", "metrics_json", "risk_curves", "run_json"]

PAIRS = (
    ("federated", "local"),
    ("federated", "pooled"),
    ("finetuned", "federated"),
    ("personal", "federated"),
    ("federated", IID),
)
Repeats = list[list[Measured]]  # repeats of folds
M = TypeVar("M", Measured, BySite)


class RunRecord:
    """Everything measured, kept as (arm or baseline) -> (where) -> repeats of folds."""

    def __init__(self) -> None:
        self.arms: dict[str, dict[str, Repeats]] = {}
        self.without: dict[str, dict[str, dict[str, Repeats]]] = {}
        self.subsets: dict[str, dict[str, dict[str, Repeats]]] = {}
        self.heads: dict[str, dict[str, dict[str, Repeats]]] = {}
        self.by_site: dict[str, dict[str, list[list[BySite]]]] = {}  # with draws of whole hospitals
        self.groups: dict[str, dict[str, Repeats]] = {}  # of sex and age
        self.baselines: dict[str, dict[str, Repeats]] = {}
        self.strategies: dict[str, dict[str, Repeats]] = {}  # further ones, beside the arm federated
        self.rounds: dict[str, list[dict[str, Any]]] = {}
        self.seconds: dict[str, float] = {}
        self.round_seconds: list[float] = []
        self.curves: dict[str, list[dict[str, Any]]] = {}
        self.scored: dict[str, list[Scores]] = {}  # the folds of the first repeat, for calibration
        self.folds: list[list[str]] = []  # digests of the folds of each repeat
        self.attention: dict[str, dict[str, Any]] = {}
        self.pictures: dict[str, Pictures | None] = {}
        self.signature: dict[str, Any] = {}  # how well the hospital can be told, of the federated arm's first fold
        self.ledger_heads: Path | None = None  # file of the ledger heads behind `rounds`
        self.notes: list[str] = []  # sentences for the report
        self.failed: dict[str, str] = {}  # arm -> reason; an arm that failed once is left out altogether

    def fail(self, arm: str, reason: str) -> None:
        """Leave an arm out: means over some of its folds would not compare with the others."""
        self.failed[arm] = reason
        for table in (self.arms, self.without, self.subsets, self.heads, self.rounds, self.curves, self.seconds):
            table.pop(arm, None)
        for further in (self.scored, self.by_site, self.groups, self.strategies):
            further.pop(arm, None)
        self.attention.pop(arm, None)
        self.pictures.pop(arm, None)

    @staticmethod
    def put(table: dict[str, list[list[M]]], measured: Mapping[str, M], repeat: int) -> None:
        """Append one fold's measures under its repeat."""
        for where, value in measured.items():
            repeats = table.setdefault(where, [])
            while len(repeats) <= repeat:
                repeats.append([])
            repeats[repeat].append(value)


def metrics_json(
    study: Study,
    record: RunRecord,
    folds: Sequence[Fold],
    excluded: Mapping[str, int],
    *,
    repeats: int,
    synthetic: Sequence[str],
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of metrics.json.

    Parameters
    ----------
    study, record
        The resolved study, and everything that was measured.
    folds
        The folds of the first repeat, from which the cohort section is taken.
    excluded
        Reason -> patients left out.
    repeats
        Number of repeats.
    synthetic
        What of the cohort was generated.
    extra
        `command`, `notes`, `started`, `timing.prepare_s` and the like, merged in at the top level.
    """
    found = run_json(
        study,
        record,
        _cohort(study, folds, excluded),
        folds=len(folds),
        repeats=repeats,
        synthetic=synthetic,
        training=folds[0].training,
        extra=extra,
    )
    if out := left_out(study, folds):
        found["protocol"]["unseen"] = out
    return found


def run_json(
    study: Study,
    record: RunRecord,
    cohort: Mapping[str, Any],
    *,
    folds: int,
    repeats: int,
    synthetic: Sequence[str],
    training: Sequence[str],
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """The same from the cohort section, the number of folds, and the training sites of the first fold."""
    return {
        "schema": 1,
        "software": {"mmfed": __version__, "flwr": flwr.__version__, "torch": str(torch.__version__)},
        "seed": study.seed,
        "synthetic": list(synthetic),
        "study": {
            "name": study.name,
            "digest": study.digest,
            "task": study.task.kind,
            "architecture": study.model.architecture,
            "parameters": sum(p.numel() for p in new_model(study).parameters()),
        },
        "protocol": {
            "name": study.split.protocol,
            "folds": folds,
            "repeats": repeats,
            "test_fraction": study.split.test_fraction,
        },
        "cohort": cohort,
        "arms": {arm: _arm(record, arm, MAIN[study.task.kind]) for arm in record.arms},
        "comparisons": _comparisons(study, record),
        "floors": _floors(study, record),
        "baselines": {
            name: {where: _values(table[where]) for where in ("own", "own_site_mean", "unseen") if where in table}
            for name, table in record.baselines.items()
        },
        "privacy": privacy_of_sites(study, training, record.rounds.get("federated", [])),
        "attention": next(({"arm": arm, **found} for arm, found in record.attention.items() if found), {}),
        "curves": {"kaplan_meier": {"unseen": record.curves}} if record.curves else {},
        **extra,
    }


def _arm(record: RunRecord, arm: str, main: Sequence[str]) -> dict[str, Any]:
    table = record.arms[arm]
    plain = {where: _values(measured) for where, measured in table.items() if "." not in where}
    without = {
        modality: {where: _values(part[where]) for where in ("own", "unseen") if where in part}
        for modality, part in record.without.get(arm, {}).items()
    }
    heads = {
        name: {where: _values(part[where]) for where in ("own", "unseen") if where in part}
        for name, part in record.heads.get(arm, {}).items()
    }
    subsets = {name: _subset(part, main) for name, part in record.subsets.get(arm, {}).items()}
    rounds = record.rounds.get(arm, [])
    by_hospital = {
        where: {name: by_site(folds, name) for name in main if any(fold.counted.get(name) for fold in folds[0])}
        for where, folds in record.by_site.get(arm, {}).items()
    }
    further = {"heads": heads, "unseen_sites": _sites(table, where="unseen"), "by_site": by_hospital}
    return {**plain, "sites": _sites(table), "without": without, "subsets": subsets, "rounds": rounds} | {
        name: part for name, part in further.items() if part
    }


def _subset(part: Mapping[str, Repeats], main: Sequence[str]) -> dict[str, Any]:
    """The main metrics of the patients that have any modality of a subset, scored by that subset alone."""
    plain = {where: _values(part[where], main) for where in ("own", "unseen") if where in part}
    return {**plain, "sites": _sites(part, main)}


def _sites(table: Mapping[str, Repeats], names: Sequence[str] | None = None, where: str = "sites") -> dict[str, Any]:
    """Each hospital's scores: of its own test patients, or with `where` = unseen of all its patients, never seen."""
    prefix = f"{where}."
    return {w.removeprefix(prefix): _values(m, names) for w, m in sorted(table.items()) if w.startswith(prefix)}


def _values(repeats: Repeats, names: Sequence[str] | None = None) -> dict[str, Any]:
    found = _average(repeats)
    return {name: found[name].to_json() for name in (found if names is None else names) if name in found}


def _average(repeats: Repeats) -> dict[str, Value]:
    return average([folds for folds in repeats if folds])


def _comparisons(study: Study, record: RunRecord) -> list[dict[str, Any]]:
    rows = []
    for a, b in PAIRS:
        for where in ("own_site_mean", "unseen") if b != IID else ("unseen",):  # dealt hospitals test other patients
            for metric in compared(study.task.kind, where, study.split.protocol):
                first, second = (record.arms.get(arm, {}).get(where) for arm in (a, b))
                found = difference(first, second, metric) if first and second else None
                if found is not None:
                    rows.append({"a": a, "b": b, "where": where, "metric": metric, **found.__dict__})
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
    return rows


def _floors(study: Study, record: RunRecord) -> list[dict[str, Any]]:
    """Every arm against the best floor of the same run, folds and patients, by the first metric compared there.

    Age or the hospital alone are none that a model is held against.
    """
    rows = []
    for where in ("own_site_mean", "unseen"):
        metric = compared(study.task.kind, where)[0]
        known = {
            name: value
            for name, table in record.baselines.items()
            if not name.endswith("_alone")
            and where in table
            and (value := _average(table[where])[metric].value) is not None
        }
        if not known:
            continue
        floor = max(known, key=lambda name: known[name])
        for arm, table in record.arms.items():
            if arm == IID and where != "unseen":  # dealt hospitals test other patients
                continue
            found = difference(table[where], record.baselines[floor][where], metric) if where in table else None
            if found is not None:
                rows.append({"arm": arm, "floor": floor, "where": where, "metric": metric, **found.__dict__})
    return rows


def _cohort(study: Study, folds: Sequence[Fold], excluded: Mapping[str, int]) -> dict[str, Any]:
    names = {site for fold in folds for site in fold.training}
    everyone = {site: data.patients for fold in folds for site, data in fold.sites.items()}
    sites = {}
    for site in sorted(names):
        source = next(f for f in folds if site in f.training)
        sites[site] = _site(study, source.sites[site].patients, source.sites[site].test)
    strangers = {site for fold in folds for site in fold.sites if site not in fold.training}
    unseen = [everyone[site] for site in sorted(strangers)]
    return {
        "patients": sum(map(len, everyone.values())),
        "excluded": dict(sorted(excluded.items())),
        "sites": sites,
        "unseen": {
            "patients": sum(map(len, unseen)),
            "sites": len(unseen),
            **_group(study, Patients.concatenate(unseen) if unseen else None),
        },
    }


def _site(study: Study, patients: Patients, test: Any) -> dict[str, Any]:
    counts = {"patients": len(patients), "train": int((~test).sum()), "test": int(test.sum())}
    return {**counts, **_group(study, patients)}


def _group(study: Study, patients: Patients | None) -> dict[str, Any]:
    """Events, classes and modalities of a group of patients."""
    if patients is None:
        return {"events": None, "classes": {}, "modalities": {}}
    survival = isinstance(study.task, SurvivalTask)
    return {
        "events": int((1 - patients.cens).sum()) if survival else None,
        "classes": _classes(study, patients),
        "modalities": {name: patients.count(name) for name in patients.modalities},
    }


def _classes(study: Study, patients: Patients) -> dict[str, int]:
    if not isinstance(study.task, ClassificationTask):
        return {}
    return {name: int((patients.y == i).sum()) for i, name in enumerate(study.task.classes)}


def risk_curves(scored: Scored) -> list[dict[str, Any]]:
    """Kaplan-Meier curves of the halves with lower and higher predicted risk."""
    high = scored.risk > np.median(scored.risk)
    curves = []
    for name, rows in (("lower predicted risk", ~high), ("higher predicted risk", high)):
        part = scored.take(rows)
        if not len(part):
            continue
        table = KaplanMeierFitter().fit(part.time, part.event).survival_function_
        curves.append(
            {
                "group": name,
                "n": len(part),
                "events": part.events,
                "time": [round(float(t), 3) for t in table.index],
                "survival": [round(float(s), 5) for s in table.iloc[:, 0]],
            }
        )
    return curves
