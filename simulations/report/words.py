"""Names, colours and figures of the report: one place, so that table, figure and terminal agree."""

from dataclasses import dataclass
from typing import Any

from shared.metrics import MAIN, Kind
from simulations.multiplicity import compared

__all__ = [
    "FLOOR",
    "KINDS",
    "METRICS",
    "PLACES",
    "Look",
    "at_hospitals",
    "baseline_name",
    "joined",
    "key_metric",
    "look",
    "main_metrics",
    "metric_name",
    "minus",
    "number",
    "own_together",
    "own_words",
    "place_name",
    "shown_place",
    "spread",
    "task_kind",
    "value_of",
]

DASH = "–"
ALONE = "each hospital has a model of its own, and their scores are on no common scale: see the mean of sites"


@dataclass(frozen=True)
class Look:
    """How an arm is written and drawn everywhere; the marker tells arms apart without colour."""

    name: str
    colour: str
    marker: str


ARMS = {
    "federated": Look("Federated", "#1f5f99", "o"),
    "pooled": Look("Pooled", "#4f7f5f", "D"),
    "local": Look("Local", "#c8741c", "s"),
    "finetuned": Look("Fine-tuned", "#7a5195", "^"),
    "personal": Look("Personal", "#b0476b", "v"),
    "iid": Look("Dealt at random", "#3d9bc4", "P"),
}
STRATEGIES = {
    "fedavg": Look("FedAvg", "#1f5f99", "o"),
    "fedprox": Look("FedProx", "#2a9d8f", "s"),
    "fedavgm": Look("FedAvgM", "#7a5195", "^"),
    "fedadam": Look("FedAdam", "#b0476b", "D"),
    "fedyogi": Look("FedYogi", "#c8741c", "v"),
    "fedmedian": Look("Median", "#66864b", "P"),
    "fedtrimmedavg": Look("Trimmed mean", "#3d9bc4", "X"),
    "krum": Look("Krum", "#6b7683", "*"),
    "scaffold": Look("SCAFFOLD", "#a08a1f", "<"),
    "fedbn": Look("FedBN", "#8a6aa8", ">"),
    "fedper": Look("FedPer", "#d06f7f", "h"),
}
KINDS = ("#2a7f8e", "#5c86b8", "#8a6aa8", "#b8607f", "#b07a3c", "#66864b", "#6b7683", "#3f5a78")
"""Colours of classes, the same as .class0 to .class7 of report.css."""
FLOOR = Look("Floor", "#7d8792", "o")

METRICS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "F1, macro",
    "f1": "F1",
    "recall_macro": "Recall, macro",
    "precision_macro": "Precision, macro",
    "auc": "AUC",
    "micro_auc": "AUC, micro",
    "pr_auc": "PR-AUC",
    "mcc": "Matthews correlation",
    "quadratic_kappa": "Kappa, quadratic weights",
    "brier": "Brier score",
    "ece": "Calibration error",
    "c_index": "c-index",
    "c_index_within_site": "c-index within sites",
    "ipcw_c_index": "c-index, IPCW",
    "ibs": "Integrated Brier score",
    "map50": "mAP@.5",
    "map50_95": "mAP@.5:.95",
    "recall_25": "Lesions found at confidence .25",
}
PLACES = {
    "own": "Own patients, together",
    "own_site_mean": "Own patients, mean of sites",
    "unseen": "Unseen hospitals",
}
BASELINES = {
    "site_alone": "Hospital alone",
    "age_alone": "Age alone",
    "age": "Age alone",
    "ridge_cox": "Ridge Cox",
    "random_forest": "Random forest",
    "random_survival_forest": "Random survival forest",
}


def look(arm: str) -> Look:
    """The look of an arm or a strategy; an unknown one is drawn as a baseline under its own name."""
    return (ARMS | STRATEGIES).get(arm, Look(_plain(arm), FLOOR.colour, FLOOR.marker))


def minus(a: str, b: str) -> str:
    """`Federated − local`; names of strategies keep their capitals."""
    second = look(b).name
    return f"{look(a).name} − {second if b in STRATEGIES else second.lower()}"


def metric_name(metric: str) -> str:
    """A metric as a reader knows it."""
    return METRICS.get(metric, _plain(metric))


def place_name(place: str, metric: str = "") -> str:
    """Where a score was measured, in words; the c-index within sites is no mean of sites."""
    if (place, metric) == ("own_site_mean", "c_index_within_site"):
        return "Own patients"
    return PLACES.get(place, _plain(place))


def baseline_name(name: str) -> str:
    """A floor as a reader knows it."""
    if name.startswith("linear_"):
        kept = name.removeprefix("linear_")
        return "Linear, all modalities" if kept == "all" else f"Linear, {kept} only"
    return BASELINES.get(name, _plain(name))


def _plain(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def number(value: float | None, digits: int = 3) -> str:
    """A figure with a true minus sign, or an en dash for null; what rounds to 0 has no sign."""
    if value is None:
        return DASH
    text = f"{value:.{digits}f}"
    return (text if float(text) else text.lstrip("-")).replace("-", "−")


def spread(value: dict[str, Any], digits: int = 3) -> str:
    """`low to high` of a V or a comparison, or an empty string; a negative bound is never joined by a dash."""
    low, high = value.get("low"), value.get("high")
    if low is None or high is None:
        return ""
    joiner = " to " if low < 0 or high < 0 else "–"
    return f"{number(low, digits)}{joiner}{number(high, digits)}"


def joined(parts: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def task_kind(metrics: dict[str, Any]) -> Kind:
    """Told by the names of the scores; classification when there is none."""
    scores = [*metrics.get("arms", {}).values(), *metrics.get("baselines", {}).values()]
    named = {name for score in scores for place in PLACES for name in score.get(place) or {}}
    if "map50" in named:
        return "detection"
    return "survival" if named & {"c_index", "ibs"} else "classification"


def main_metrics(metrics: dict[str, Any]) -> tuple[str, ...]:
    """The metrics that tables and figures show first."""
    return MAIN[task_kind(metrics)]


def key_metric(metrics: dict[str, Any], place: str) -> str:
    """The metric by which arms are compared at `place`: of survival on own patients the c-index within sites."""
    return compared(task_kind(metrics), place)[0]


def at_hospitals(metrics: dict[str, Any], metric: str) -> str:
    """`5 of 18 hospitals` where a mean of sites rests on fewer than train; else an empty string."""
    every = len((metrics.get("cohort") or {}).get("sites") or {})
    arms = [arm for name, arm in (metrics.get("arms") or {}).items() if name != "iid"]  # whose hospitals are dealt
    counted = [((arm.get("own_site_mean") or {}).get(metric) or {}).get("sites") for arm in arms]
    fewest = min((n for n in counted if n is not None), default=every)
    return f"{fewest} of {every} hospitals" if fewest < every else ""


def own_words(metric: str) -> str:
    """How a metric of own patients sums up the hospitals."""
    if metric == "c_index_within_site":
        return "over all pairs of test patients of one hospital, all hospitals together"
    return "mean over the hospitals' own test patients, weighted by their number"


def own_together(arm: str, scores: dict[str, Any]) -> dict[str, Any]:
    """An arm's scores on all own patients ranked together; where every hospital has a model, there are none."""
    found: dict[str, Any] = scores.get("own") or {}
    if arm not in ("local", "finetuned", "personal"):
        return found
    return {name: {**value, "value": None, "reason": ALONE} for name, value in found.items()}


def shown_place(metrics: dict[str, Any]) -> str:
    """Where the key result is read: unseen hospitals if any score is there, else the mean over own sites."""
    main = key_metric(metrics, "unseen")
    unseen = [value_of(arm, "unseen", main) for arm in metrics.get("arms", {}).values()]
    return "unseen" if any(v is not None for v in unseen) else "own_site_mean"


def value_of(scores: dict[str, Any], place: str, metric: str) -> float | None:
    """An arm's or a floor's value of `metric` at `place`; None when it is null or was not measured."""
    found = ((scores.get(place) or {}).get(metric) or {}).get("value")
    return None if found is None else float(found)
