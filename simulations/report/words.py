"""Names, colours and sentences of the report: one place, so that table, figure and terminal agree."""

from dataclasses import dataclass
from typing import Any

from shared.metrics import LOWER_IS_BETTER, MAIN, Kind

__all__ = [
    "FLOOR",
    "METRICS",
    "PLACES",
    "Look",
    "baseline_name",
    "headline",
    "joined",
    "look",
    "main_metrics",
    "metric_name",
    "number",
    "place_name",
    "ranking",
    "shown_place",
    "spread",
    "task_kind",
]

DASH = "–"


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
}
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
    "brier": "Brier score",
    "ece": "Calibration error",
    "c_index": "c-index",
    "c_index_within_site": "c-index within sites",
    "ipcw_c_index": "c-index, IPCW",
    "ibs": "Integrated Brier score",
    "map50": "mAP50",
    "map50_95": "mAP50-95",
}
PLACES = {
    "own": "Own patients, together",
    "own_site_mean": "Own patients, mean of sites",
    "unseen": "Unseen hospitals",
}
BASELINES = {
    "linear_expression": "Linear, expression only",
    "site_alone": "Hospital alone",
    "age_alone": "Age alone",
    "age": "Age alone",
    "ridge_cox": "Ridge Cox",
}


def look(arm: str) -> Look:
    """The look of an arm; an unknown one is drawn as a baseline under its own name."""
    return ARMS.get(arm, Look(_plain(arm), FLOOR.colour, FLOOR.marker))


def metric_name(metric: str) -> str:
    """A metric as a reader knows it."""
    return METRICS.get(metric, _plain(metric))


def place_name(place: str) -> str:
    """Where a score was measured, in words."""
    return PLACES.get(place, _plain(place))


def baseline_name(name: str) -> str:
    """A floor as a reader knows it."""
    return BASELINES.get(name, _plain(name))


def _plain(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def number(value: float | None, digits: int = 3) -> str:
    """A figure with a true minus sign, or an en dash for null."""
    return DASH if value is None else f"{value:.{digits}f}".replace("-", "−")


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
    """Survival when any score is a survival metric, else classification."""
    scores = [*metrics.get("arms", {}).values(), *metrics.get("baselines", {}).values()]
    named = {name for score in scores for place in PLACES for name in score.get(place) or {}}
    return "survival" if named & {"c_index", "ibs"} else "classification"


def main_metrics(metrics: dict[str, Any]) -> tuple[str, ...]:
    """The metrics that tables and figures show first."""
    return MAIN[task_kind(metrics)]


def shown_place(metrics: dict[str, Any]) -> str:
    """Where the key result is read: unseen hospitals if any score is there, else the mean over own sites."""
    main = main_metrics(metrics)[0]
    unseen = [_value(arm, "unseen", main) for arm in metrics.get("arms", {}).values()]
    return "unseen" if any(v is not None for v in unseen) else "own_site_mean"


def _value(scores: dict[str, Any], place: str, metric: str) -> float | None:
    found = ((scores.get(place) or {}).get(metric) or {}).get("value")
    return None if found is None else float(found)


def headline(metrics: dict[str, Any]) -> tuple[str, str]:
    """The key result as a title of a few words and one or two plain sentences."""
    main, place = main_metrics(metrics)[0], shown_place(metrics)
    arms = metrics.get("arms", {})
    values = {arm: found for arm, scores in arms.items() if (found := _value(scores, place, main)) is not None}
    whom = (
        "patients of hospitals that never took part" if place == "unseen" else "held-out patients of its own hospitals"
    )
    name = metric_name(main)
    if "federated" not in values:
        best = [f"{look(arm).name.lower()} {number(value)}" for arm, value in values.items()]
        return "Results", f"{name} on {whom}: {joined(best)}." if best else f"{name} could not be computed on {whom}."
    text = f"On {whom}, the federated model reaches {name} {number(values['federated'])}"
    title = "What the federated model reaches"
    if "local" in values:
        text += f"; a hospital's own model reaches {number(values['local'])} on average"
        title, difference = _verdict(metrics, main, place)
        text += difference
    text += "."
    if "pooled" in values:
        text += f" Pooling all patients in one place, which needs no federation, reaches {number(values['pooled'])}."
    return title, text


def _verdict(metrics: dict[str, Any], metric: str, place: str) -> tuple[str, str]:
    for found in metrics.get("comparisons", []):
        if (found["a"], found["b"], found["where"], found["metric"]) != ("federated", "local", place, metric):
            continue
        if found.get("low") is None or found.get("high") is None:
            break
        sign = -1 if metric in LOWER_IS_BETTER else 1
        bounds = sorted((sign * found["low"], sign * found["high"]))
        title = "No clear difference between training together and alone"
        title = "Training together helped" if bounds[0] > 0 else title
        title = "Training together did worse than training alone" if bounds[1] < 0 else title
        return title, f", a difference of {number(found['difference'])} (95 % interval {spread(found)})"
    return "Federated beside local training", ""


def ranking(metrics: dict[str, Any]) -> str:
    """One sentence that says which arm or floor is highest where the key result is read."""
    main, place = main_metrics(metrics)[0], shown_place(metrics)
    scores = {look(arm).name: _value(found, place, main) for arm, found in metrics.get("arms", {}).items()}
    for name, found in metrics.get("baselines", {}).items():
        scores[baseline_name(name)] = _value(found, place, main)
    known = {name: value for name, value in scores.items() if value is not None}
    if len(known) < 2:
        return ""
    order = sorted(known, key=lambda name: -known[name])
    listed = [f"{name} {number(known[name])}" for name in order]
    return f"In order of {metric_name(main)} ({place_name(place).lower()}): {', '.join(listed)}."
