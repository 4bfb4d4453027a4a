"""What the report says in words: what was trained, the key result, which floor or arm wins."""

from typing import Any

from shared.metrics import LOWER_IS_BETTER
from shared.privacy.report.sentences import rounded_up
from simulations.report.words import (
    baseline_name,
    joined,
    key_metric,
    look,
    metric_name,
    number,
    place_name,
    shown_place,
    spread,
    task_kind,
    value_of,
)

__all__ = [
    "NOT_PRIVATE",
    "against_floor",
    "headline",
    "held_branches",
    "hospitals",
    "left_out_in_turn",
    "private_arms",
    "ranking",
    "trained",
]

NOT_PRIVATE = ("pooled", "local", "finetuned")

WHOM = {
    "unseen": "patients of hospitals that never took part",
    "own_site_mean": "held-out patients of the training hospitals",
}


def left_out_in_turn(metrics: dict[str, Any]) -> bool:
    """Whether every hospital is unseen once, so that trained and unseen patients are the same people."""
    return (metrics.get("protocol") or {}).get("name") in ("leave-one-site-out", "preserved-site-kfold")


def hospitals(sites: object) -> str:
    """`4 hospitals` from a count or a list of names; `other hospitals` when neither is given."""
    count = len(sites) if isinstance(sites, list | dict) else sites
    return "1 hospital" if count == 1 else f"{count or 'other'} hospitals"


def trained(metrics: dict[str, Any], study: dict[str, Any]) -> str:
    """What was trained, on whom and how, in one paragraph."""
    described, cohort = metrics.get("study", {}), metrics.get("cohort", {})
    sites, unseen = cohort.get("sites") or {}, cohort.get("unseen") or {}
    column = str(study.get("task", {}).get("column", "the class"))
    aim = {"survival": "predict survival", "detection": "find lesions"}.get(task_kind(metrics), f"predict {column}")
    size = f" with {described['parameters']:,} parameters" if described.get("parameters") else ""
    used = list(study.get("modalities", {}))
    reading = f", reading {joined(used)}," if used else ""
    rounds = study.get("training", {}).get("rounds")
    text = f"The model {described.get('architecture', '')}{size}{reading} was trained to {aim}"
    text += f" in {rounds} rounds" if rounds else ""
    patients, train = (sum(site.get(key) or 0 for site in sites.values()) for key in ("patients", "train"))
    if left_out_in_turn(metrics):
        return f"{text} on {patients} patients of {hospitals(sites)}, each hospital left out of training in turn."
    protocol = metrics.get("protocol") or {}
    if protocol.get("name") == "patient-kfold":
        whom = f"{patients} patients of {hospitals(sites)}"
        text, sites = f"{text} on {whom}, each patient tested in one of {protocol['folds']} folds", {}
    text += f" by {hospitals(sites)} with {patients} patients, {train} of them for training" if sites else ""
    if unseen.get("patients"):
        text += f". A further {unseen['patients']} patients of {hospitals(unseen.get('sites'))} were never trained on"
    return text + "."


def headline(metrics: dict[str, Any]) -> tuple[str, str]:
    """The key result as a title of a few words and a few plain sentences."""
    place = shown_place(metrics)
    main, own_metric = key_metric(metrics, place), key_metric(metrics, "own_site_mean")
    values = _values(metrics, main, place)
    name = metric_name(main)
    if "federated" not in values:
        best = [f"{look(arm).name.lower()} {number(value)}" for arm, value in values.items()]
        found = f": {joined(best)}" if best else " could not be computed"
        return "Results", f"{name} on {WHOM[place]}{found}."
    title, text = "What the federated model reaches", f"On {WHOM[place]}, the federated model reaches {name} "
    text += number(values["federated"])
    if "local" in values:
        title, difference = _verdict(metrics, main, place)
        text += f"; a hospital's own model reaches {number(values['local'])} on average{difference}"
    text += "."
    own = _values(metrics, own_metric, "own_site_mean") if place == "unseen" else {}
    if {"federated", "local"} <= own.keys():
        _, difference = _verdict(metrics, own_metric, "own_site_mean")
        both = "" if own_metric == main else f"{metric_name(own_metric)}: "
        both += f"federated {number(own['federated'])}, local {number(own['local'])}"
        text += f" On {WHOM['own_site_mean']}, {both}{difference}."
    if "pooled" in values:
        whose = "" if place == "own_site_mean" else " on the unseen patients"
        text += f" Pooling all training patients in one place reaches {number(values['pooled'])}{whose}."
    return title, f"{text} {private_arms(metrics)}".rstrip()


def private_arms(metrics: dict[str, Any]) -> str:
    """Which arms are private and which are not, in a sentence; empty where none is."""
    spent = [told["epsilon"] for told in (metrics.get("privacy") or {}).values() if told.get("mode") == "local"]
    plain = [look(arm).name for arm in metrics.get("arms") or {} if arm in NOT_PRIVATE]
    if not spent or not plain:
        return ""
    verb = "is" if len(plain) == 1 else "are"
    return (
        f"Federated training was private (epsilon {rounded_up(max(spent))}); {joined(plain)} {verb} not, so "
        "that differences hold what privacy costs."
    )


def ranking(metrics: dict[str, Any]) -> str:
    """One sentence that says which arm or floor is highest where the key result is read; empty for fewer than two."""
    place = shown_place(metrics)
    main = key_metric(metrics, place)
    known = {look(arm).name: value for arm, value in _values(metrics, main, place).items()}
    for name, found in metrics.get("baselines", {}).items():
        value = value_of(found, place, main)
        if value is not None:
            known[baseline_name(name)] = value
    if len(known) < 2:
        return ""
    listed = [f"{name} {number(known[name])}" for name in sorted(known, key=lambda name: -known[name])]
    return f"Highest first, {metric_name(main)}, {place_name(place, main).lower()}: {', '.join(listed)}."


def against_floor(metrics: dict[str, Any]) -> list[str]:
    """One plain sentence for each group of patients on whom a linear model or a forest reaches more than an arm."""
    sentences = []
    for place, whom in WHOM.items():
        losers = [row for row in metrics.get("floors") or [] if row["where"] == place and row["difference"] < 0]
        if not losers:
            continue
        metric, floor = losers[0]["metric"], losers[0]["floor"]
        value = value_of(metrics["baselines"][floor], place, metric)
        kind = "linear" if floor.startswith("linear_") else "classical"
        sentences.append(
            f"On {whom}, the best {kind} model of the pooled patients ({baseline_name(floor)}, {metric_name(metric)} "
            f"{number(value)}) is above {joined([_lead(row) for row in losers])}."
        )
    return sentences


def _lead(row: dict[str, Any]) -> str:
    """An arm that stays below a floor, the floor's lead with its interval, and whether that is more than chance."""
    ends = {"low": row["high"], "high": row["low"]}
    interval = spread({end: None if value is None else -value for end, value in ends.items()})
    clear = row["high"] is not None and row["high"] < 0
    unclear = "" if clear else ", not a clear difference"
    return f"{look(row['arm']).name.lower()} by {number(-row['difference'])} (95 % interval {interval}{unclear})"


def held_branches(metrics: dict[str, Any]) -> list[str]:
    """One sentence an arm and branch that kept its arrays in some rounds."""
    counts: dict[tuple[str, str], int] = {}
    for arm, scores in metrics.get("arms", {}).items():
        for record in scores.get("rounds") or []:
            for branch in record.get("kept") or []:
                counts[arm, branch] = counts.get((arm, branch), 0) + 1
    return [
        f"{look(arm).name}: too few hospitals had {branch} in {count} {'round' if count == 1 else 'rounds'}; "
        "that branch kept its weights."
        for (arm, branch), count in counts.items()
    ]


def _values(metrics: dict[str, Any], metric: str, place: str) -> dict[str, float]:
    found = {arm: value_of(scores, place, metric) for arm, scores in metrics.get("arms", {}).items()}
    return {arm: value for arm, value in found.items() if value is not None}


def _verdict(metrics: dict[str, Any], metric: str, place: str) -> tuple[str, str]:
    """A title, and the difference between federated and local with its interval."""
    for found in metrics.get("comparisons", []):
        if (found["a"], found["b"], found["where"], found["metric"]) != ("federated", "local", place, metric):
            continue
        if found.get("low") is None or found.get("high") is None:
            break
        sign = -1 if metric in LOWER_IS_BETTER else 1
        low, high = sorted((sign * found["low"], sign * found["high"]))
        title = "No clear difference between training together and alone"
        title = "Training together helped" if low > 0 else title
        title = "Training together did worse than training alone" if high < 0 else title
        return title, f", a difference of {number(found['difference'])} (95 % interval {spread(found)})"
    return "Federated beside local training", ""
