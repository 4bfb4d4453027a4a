"""The federation under several strategies of aggregation: the same folds, local settings and rounds for each."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from shared.errors import StudyError
from shared.strategy_names import STRATEGIES
from shared.study import DetectionTask, Study
from shared.weights import message_size
from simulations.adapt import override
from simulations.averages import average, difference
from simulations.multiplicity import compared, holm
from simulations.scores import Measured

__all__ = ["strategies_json", "strategy_faults", "with_strategy"]

PLACES = ("own", "own_site_mean", "unseen")
COMPARED = ("own_site_mean", "unseen")


def with_strategy(study: Study, name: str) -> Study:
    """`study` federated by a strategy, another one with its default options; StudyError where they do not fit."""
    return override(study, (f'federation.strategy="{name}"',))


def strategy_faults(study: Study, names: Sequence[str], arms: Sequence[str]) -> list[str]:
    """What is wrong with `--strategies`, one sentence each."""
    faults = []
    if names and isinstance(study.task, DetectionTask):
        return [
            "--strategies: expected a study other than one of detection; run each strategy by itself with "
            "--set federation.strategy=NAME and hold the runs together by simulations/compare.py"
        ]
    if names and "federated" not in arms:
        faults.append(
            f"--strategies: expected the arm federated, which others are held against, got {', '.join(arms)}; add it"
        )
    for name in names:
        if name not in STRATEGIES:
            close = get_close_matches(name, STRATEGIES, n=1)
            advice = f"write {close[0]}" if close else "choose some of them"
            faults.append(f"--strategies: expected some of {', '.join(STRATEGIES)}, got {name}; {advice}")
            continue
        try:
            with_strategy(study, name)
        except StudyError as exc:
            told = "; ".join(line.strip() for line in str(exc).splitlines()[1:]) or str(exc)
            faults.append(f"--strategies: {name} does not go with this study: {told}")
    if names and set(names) == {study.federation.strategy}:
        faults.append(f"--strategies: expected others than the study's own, got {names[0]}; name one or leave it out")
    return faults


def strategies_json(
    study: Study,
    tables: Mapping[str, Mapping[str, Sequence[Sequence[Measured]]]],
    rounds: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, Any]:
    """`strategies` of metrics.json: every strategy's scores, and its difference from the study's own.

    Parameters
    ----------
    study
        Whose strategy is that of the arm `federated`.
    tables
        Strategy -> where -> repeats of folds, the study's own strategy among them. Differences are paired by patient.
    rounds
        Strategy -> the rounds of the first fold.
    """
    reference = study.federation.strategy
    comparisons = [
        {"a": name, "b": reference, "where": where, "metric": metric, **found.__dict__}
        for name, table in tables.items()
        if name != reference and reference in tables
        for where in COMPARED
        if where in table and where in tables[reference]
        for metric in compared(study.task.kind, where, study.split.protocol)
        if (found := difference(table[where], tables[reference][where], metric))
    ]
    for row, adjusted in zip(comparisons, holm([row["p"] for row in comparisons]), strict=True):
        row["p_holm"] = adjusted
    reached = {}
    for name, table in tables.items():
        by = with_strategy(study, name)
        reached[name] = {
            **{where: _values(table[where]) for where in PLACES if where in table},
            "options": dict(by.federation.strategy_options),
            "message": message_size(by),
            "loss": [r["loss"] for r in rounds.get(name, ()) if r.get("loss") is not None],  # none with privacy
        }
    return {"reference": reference, "reached": reached, "comparisons": comparisons}


def _values(repeats: Sequence[Sequence[Measured]]) -> dict[str, Any]:
    return {name: value.to_json() for name, value in average([folds for folds in repeats if folds]).items()}
