"""Arms in words: what each is, what the further ones gained, and how many comparisons were made."""

from typing import Any

from shared.metrics import LOWER_IS_BETTER
from simulations.report.words import look, main_metrics, metric_name, number, place_name, spread, value_of

__all__ = ["arm_meanings", "extra_arms", "multiplicity"]

MEANINGS = {
    "federated": "one model, trained by all hospitals without sharing patients",
    "local": "each hospital alone",
    "pooled": "all training patients in one place",
    "finetuned": "the federated model, trained a little further at each hospital on its own patients",
    "personal": "federated, but every hospital keeps a last layer of its own; unseen hospitals get the mean of them",
    "iid": "federated, over the same patients dealt to hospitals of the same sizes at random",
}
SAYS = {
    "finetuned": "Training the federated model further at each hospital",
    "personal": "Keeping a last layer of its own at every hospital",
}


def arm_meanings(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and meaning of every arm of the run that has one."""
    return [(look(arm).name, MEANINGS[arm]) for arm in metrics.get("arms") or {} if arm in MEANINGS]


def extra_arms(metrics: dict[str, Any]) -> list[str]:
    """One sentence an arm and group of patients: what fine-tuning, personal layers or the hospitals' mix are worth."""
    metric, arms = main_metrics(metrics)[0], metrics.get("arms") or {}
    sentences = []
    for arm, says in SAYS.items():
        for place in ("own_site_mean", "unseen"):
            told = _against(metrics, arm, "federated", place, metric)
            if arm in arms and told:
                sentences.append(f"{says} {told}, {place_name(place).lower()}.")
    for place in ("own_site_mean", "unseen"):
        told = _against(metrics, "iid", "federated", place, metric)
        if told:
            sentences.append(
                f"Were the patients dealt to the hospitals at random, federated training {told}, "
                f"{place_name(place).lower()}: what the hospitals' differences cost it."
            )
    return sentences


def multiplicity(metrics: dict[str, Any]) -> str:
    """How many comparisons were made and whether their p-values are corrected; empty without any."""
    rows = metrics.get("comparisons") or []
    if not rows:
        return ""
    count = f"{len(rows)} {'comparison' if len(rows) == 1 else 'comparisons'} of arms"
    if any(row.get("p_holm") is not None for row in rows):
        return (
            f"{count} stand in this table. p is that of the paired bootstrap, two-sided; p (Holm) is corrected for all "
            "of them by Holm's step-down method. The intervals are of one comparison each."
        )
    by_chance = 0.05 * len(rows)
    return (
        f"{count} stand in this table and none is corrected for multiplicity: where no arm differed, about "
        f"{by_chance:.1f} of so many 95 % intervals would still leave out 0. Read them together, not one by one."
    )


def _against(metrics: dict[str, Any], a: str, b: str, place: str, metric: str) -> str:
    """`raises AUC by .01 (95 % interval ...)`, from the comparison of the run or else from the two values."""
    arms = metrics.get("arms") or {}
    first, second = (value_of(arms.get(arm) or {}, place, metric) for arm in (a, b))
    if first is None or second is None:
        return ""
    rows = metrics.get("comparisons") or []
    same = (row for row in rows if (row["where"], row["metric"]) == (place, metric) and {row["a"], row["b"]} == {a, b})
    found = next(same, None)
    difference, interval, clear = first - second, "", False
    if found and found.get("low") is not None and found.get("high") is not None:
        sign = 1 if found["a"] == a else -1
        low, high = sorted((sign * found["low"], sign * found["high"]))
        difference, clear = sign * found["difference"], low > 0 or high < 0
        interval = f"95 % interval {spread({'low': low, 'high': high})}"
    better = difference > 0 if metric not in LOWER_IS_BETTER else difference < 0
    verb = "raises" if difference > 0 else "lowers"
    doubt = "" if clear else ", not a clear difference" if interval else ""
    side = "" if better or not clear else ", which is worse"
    shown = f" ({interval}{doubt}{side})" if interval else ""
    return f"{verb} {metric_name(metric)} by {number(abs(difference))}, to {number(first)}{shown}"
