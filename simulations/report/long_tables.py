"""Every table of the report as plain rows for CSV: one figure a row, with its interval and its patients."""

from collections.abc import Iterator
from typing import Any

from simulations.report.flow_figure import flow_rows
from simulations.report.gap_figure import gap_rows
from simulations.report.words import main_metrics

__all__ = ["Row", "long_tables"]

Row = dict[str, Any]
FIELDS = ("value", "low", "high", "sd", "n", "events", "reason")
PLACES = ("own", "own_site_mean", "unseen")


def long_tables(metrics: dict[str, Any]) -> dict[str, list[Row]]:
    """File name without suffix -> rows; a table without a row is left out."""
    tables = {
        "flow": [{"stage": stage, "group": group, "patients": n} for stage, group, n in flow_rows(metrics)],
        "hospitals": list(_hospitals(metrics)),
        "scores": list(_scores(metrics)),
        "scores_by_hospital": list(_by_hospital(metrics)),
        "comparisons": [dict(row) for row in metrics.get("comparisons") or []],
        "strategies": list(_strategies(metrics)),
        "strategy_comparisons": [dict(row) for row in (metrics.get("strategies") or {}).get("comparisons") or []],
        "against_floors": [dict(row) for row in metrics.get("floors") or []],
        "gaps": list(_gaps(metrics)),
        "intervals_over_hospitals": list(_by_site(metrics)),
        "folds": [
            _fold(number, fold) for number, fold in enumerate((metrics.get("protocol") or {}).get("unseen") or [], 1)
        ],
        "calibration": list(_calibration(metrics)),
        "fairness": list(_fairness(metrics)),
        "site_signature": [dict(row) for row in (metrics.get("signature") or {}).get("rows") or []],
        "without_a_modality": list(_parts(metrics, "without", "removed")),
        "subsets_of_modalities": list(_parts(metrics, "subsets", "kept")),
        "further_heads": list(_parts(metrics, "heads", "head")),
        "kaplan_meier": list(_curves(metrics)),
        "learning": list(_learning(metrics)),
        "privacy": [{"site": site, **terms} for site, terms in (metrics.get("privacy") or {}).items()],
    }
    return {name: rows for name, rows in tables.items() if rows}


def _v(value: dict[str, Any] | None) -> Row:
    return {name: (value or {}).get(name) for name in FIELDS}


def _scores(metrics: dict[str, Any]) -> Iterator[Row]:
    for kind, key in (("arm", "arms"), ("floor", "baselines")):
        for name, found in (metrics.get(key) or {}).items():
            for where in PLACES:
                for metric, value in (found.get(where) or {}).items():
                    yield {"kind": kind, "name": name, "where": where, "metric": metric, **_v(value)}


def _strategies(metrics: dict[str, Any]) -> Iterator[Row]:
    for name, found in ((metrics.get("strategies") or {}).get("reached") or {}).items():
        for where in PLACES:
            for metric, value in (found.get(where) or {}).items():
                yield {"strategy": name, "where": where, "metric": metric, **_v(value), "message": found["message"]}


def _by_hospital(metrics: dict[str, Any]) -> Iterator[Row]:
    for arm, found in (metrics.get("arms") or {}).items():
        for key, where in (("sites", "own"), ("unseen_sites", "unseen")):
            for site, scores in (found.get(key) or {}).items():
                for metric, value in scores.items():
                    yield {"arm": arm, "site": site, "where": where, "metric": metric, **_v(value)}


def _hospitals(metrics: dict[str, Any]) -> Iterator[Row]:
    cohort = metrics.get("cohort") or {}
    groups = {**(cohort.get("sites") or {}), "(unseen)": cohort.get("unseen") or {}}
    classes = list(dict.fromkeys(name for found in groups.values() for name in found.get("classes") or {}))
    modalities = list(dict.fromkeys(name for found in groups.values() for name in found.get("modalities") or {}))
    for site, found in groups.items():
        if not found.get("patients"):
            continue
        row: Row = {"site": site, "hospital": found.get("hospital", "")}
        row |= {name: found.get(name) for name in ("patients", "train", "test", "events")}
        row |= {f"class {name}": (found.get("classes") or {}).get(name) for name in classes}
        yield row | {f"with {name}": (found.get("modalities") or {}).get(name) for name in modalities}


def _gaps(metrics: dict[str, Any]) -> Iterator[Row]:
    for metric in main_metrics(metrics):
        for name, _, own, unseen in gap_rows(metrics, metric):
            ends = {
                f"{where}_{key}": v.get(key) for where, v in (("own", own), ("unseen", unseen)) for key in FIELDS[:3]
            }
            yield {"name": name, "metric": metric, **ends, "gap": unseen["value"] - own["value"]}


def _by_site(metrics: dict[str, Any]) -> Iterator[Row]:
    for arm, found in (metrics.get("arms") or {}).items():
        for where, scores in (found.get("by_site") or {}).items():
            for metric, drawn in scores.items():
                value = ((found.get(where) or {}).get(metric) or {}).get("value")
                yield {"arm": arm, "where": where, "metric": metric, "value": value, **drawn}


def _fold(number: int, fold: dict[str, Any]) -> Row:
    counts = {f"class {name}": n for name, n in (fold.get("classes") or {}).items()}
    return {"fold": number, "left_out": " ".join(fold["sites"]), "patients": fold["patients"], **counts}


def _calibration(metrics: dict[str, Any]) -> Iterator[Row]:
    for arm, places in (metrics.get("calibration") or {}).items():
        for where, found in places.items():
            for each in found["bins"]:
                yield {"arm": arm, "where": where, **each}


def _fairness(metrics: dict[str, Any]) -> Iterator[Row]:
    for arm, attributes in (metrics.get("fairness") or {}).items():
        for attribute, groups in attributes.items():
            for each in groups:
                yield {"arm": arm, "attribute": attribute, **each}


def _parts(metrics: dict[str, Any], key: str, column: str) -> Iterator[Row]:
    for arm, found in (metrics.get("arms") or {}).items():
        for name, part in (found.get(key) or {}).items():
            scores = {(where, ""): part.get(where) or {} for where in PLACES}
            scores |= {("own", site): each for site, each in (part.get("sites") or {}).items()}
            for (where, site), values in scores.items():
                for metric, value in values.items():
                    yield {"arm": arm, column: name, "where": where, "site": site, "metric": metric, **_v(value)}


def _curves(metrics: dict[str, Any]) -> Iterator[Row]:
    for where, arms in ((metrics.get("curves") or {}).get("kaplan_meier") or {}).items():
        for arm, groups in arms.items():
            for group in groups:
                for time, survival in zip(group["time"], group["survival"], strict=True):
                    yield {"arm": arm, "where": where, "group": group["group"], "months": time, "survival": survival}


def _learning(metrics: dict[str, Any]) -> Iterator[Row]:
    for arm, found in (metrics.get("arms") or {}).items():
        for record in found.get("rounds") or []:
            if record.get("loss") is not None:
                yield {"arm": arm, "site": "", "round": record["round"], "loss": record["loss"]}
            for site, each in (record.get("sites") or {}).items():
                if isinstance(each, dict) and each.get("loss") is not None:
                    yield {"arm": arm, "site": site, "round": record["round"], "loss": each["loss"]}
