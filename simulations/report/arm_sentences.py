"""Arms in words: what each is, what the further ones gained, and how many comparisons were made."""

from typing import Any

from simulations.report.words import joined, key_metric, look, metric_name, number, spread, value_of

__all__ = ["arm_meanings", "extra_arms", "multiplicity"]

MEANINGS = {
    "federated": "one model, trained by all hospitals without sharing patients",
    "local": "each hospital alone",
    "pooled": "all training patients in one place",
    "finetuned": "the federated model, trained a little further at each hospital on its own patients",
    "personal": "federated, but every hospital keeps a last layer of its own; unseen hospitals get the mean of them",
    "iid": "the IID control: federated, over the same patients dealt at random to hospitals of the same sizes",
}
SAYS = {
    "finetuned": "Training the federated model further at each hospital",
    "personal": "Keeping a last layer of its own at every hospital",
    "iid": "Dealing the same patients to the hospitals at random",
}
WHERE = {"own_site_mean": "on own patients", "unseen": "at unseen hospitals"}


def arm_meanings(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and meaning of every arm of the run that has one."""
    return [(look(arm).name, MEANINGS[arm]) for arm in metrics.get("arms") or {} if arm in MEANINGS]


def extra_arms(metrics: dict[str, Any]) -> list[str]:
    """One sentence an arm: what fine-tuning, layers of one's own or alike hospitals change in the federated score."""
    sentences = []
    for arm, says in SAYS.items():
        changes: list[str] = []
        said = ""
        for place in WHERE:
            if change := _change(metrics, arm, place):
                name = metric_name(key_metric(metrics, place))
                changes.append(change if name == said else f"{name} {change}")
                said = name
        if changes:
            why = ": what the differences between hospitals cost" if arm == "iid" else ""
            sentences.append(f"{says} changes {joined(changes)}{why}.")
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


def _change(metrics: dict[str, Any], arm: str, place: str) -> str:
    """`from .80 to .85 on own patients (95 % interval ...)`; "" where one of both scores is missing."""
    metric, arms = key_metric(metrics, place), metrics.get("arms") or {}
    before, after = (value_of(arms.get(each) or {}, place, metric) for each in ("federated", arm))
    if before is None or after is None:
        return ""
    told = f"from {number(before)} to {number(after)} {WHERE[place]}"
    for row in metrics.get("comparisons") or []:
        if (row["where"], row["metric"], {row["a"], row["b"]}) != (place, metric, {arm, "federated"}):
            continue
        if row.get("low") is None or row.get("high") is None:
            break
        sign = 1 if row["a"] == arm else -1
        low, high = sorted((sign * row["low"], sign * row["high"]))
        doubt = "" if low > 0 or high < 0 else "; not a clear difference"
        interval = spread({"low": low, "high": high})
        return f"{told} (difference {number(sign * row['difference'])}, 95 % interval {interval}{doubt})"
    return told
