"""The section on strategies, from hand-made figures."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from simulations.report import print_summary, render_report
from simulations.report.exports import figures_in
from simulations.report.strategy_section import strategy_section, strategy_sentences

Make = Callable[[str], dict[str, Any]]


def reached(value: float, options: dict[str, float], loss: list[float]) -> dict[str, Any]:
    scores = {
        name: {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 46} for name in ("auc", "accuracy")
    }
    return {"own_site_mean": scores, "unseen": scores, "options": options, "message": 98336, "loss": loss}


def apart(name: str, difference: float, p_holm: float) -> dict[str, Any]:
    ends = {"low": difference - 0.02, "high": difference + 0.02, "p": p_holm / 2, "p_holm": p_holm}
    return {"a": name, "b": "fedavg", "where": "unseen", "metric": "auc", "difference": difference, **ends}


@pytest.fixture
def metrics(metrics_of: Make) -> dict[str, Any]:
    found = {
        "reference": "fedavg",
        "reached": {
            "fedavg": reached(0.83, {}, [1.2, 0.8]),
            "scaffold": reached(0.87, {}, [1.2, 0.7]),
            "fedadam": reached(0.82, {"eta": 0.01, "tau": 1e-3}, [1.2, 0.9]),
        },
        "comparisons": [apart("scaffold", 0.04, 0.02), apart("fedadam", -0.01, 0.5)],
    }
    metrics = metrics_of("classification") | {"strategies": found}
    metrics["timing"]["arms"] |= {"scaffold": 15.3, "fedadam": 14.4}
    return metrics


def test_who_is_highest_and_who_differs(metrics: dict[str, Any]) -> None:
    highest, differs = strategy_section(metrics)["sentences"]
    assert highest == "Highest first, AUC, unseen hospitals: SCAFFOLD 0.870, FedAvg 0.830, FedAdam 0.820."
    assert differs == "SCAFFOLD differs from FedAvg, the study’s own strategy, beyond the chance of these patients."
    metrics["strategies"]["comparisons"] = metrics["strategies"]["comparisons"][1:]
    assert strategy_section(metrics)["sentences"][1].startswith("None differs from FedAvg")


def test_the_table_tells_options_message_and_seconds(metrics: dict[str, Any]) -> None:
    table = strategy_section(metrics)["table"]
    assert table.head == ["AUC", "Accuracy", "AUC", "Accuracy", "Numbers a message", "Seconds", "Options"]
    rows = {name: [cell.text for cell in cells] for name, _, cells in table.rows}
    assert rows["FedAvg"] == ["0.830"] * 4 + ["98,336", "14.2", "none"]  # the seconds of the arm federated
    assert rows["Hospital alone"][3] == "0.520"  # beside every score, what knowing the hospital would reach
    assert rows["FedAdam"][5:] == ["14.4", "eta 0.01, tau 0.001"]


def test_page_and_files_hold_it(metrics: dict[str, Any], study_toml: str) -> None:
    page = render_report(metrics, study_toml)
    assert "<h2>Strategies of aggregation</h2>" in page
    assert "FedAdam − FedAvg" in page
    names = [name for name, _, _ in figures_in({"strategies": strategy_section(metrics)})]
    assert names == ["strategies-auc", "strategies-accuracy", "strategies-auc-difference", "strategies-training-loss"]


def test_the_terminal_says_it_too(metrics: dict[str, Any]) -> None:
    out = StringIO()
    print_summary(metrics, Console(file=out, width=200))
    assert "Strategies. Highest first, AUC, unseen hospitals: SCAFFOLD 0.870, FedAvg 0.830, FedAdam" in out.getvalue()
    rows = [line.split("  ")[0] for line in out.getvalue().splitlines() if line.startswith("Federated by")]
    assert rows == ["Federated by SCAFFOLD", "Federated by FedAdam"] * 2  # AUC, accuracy; FedAvg is the federated arm's
    assert "0.870" in next(line for line in out.getvalue().splitlines() if line.startswith("Federated by SCAFFOLD"))


def test_a_run_by_one_strategy_has_no_section(metrics: dict[str, Any], metrics_of: Make, study_toml: str) -> None:
    assert strategy_section(metrics_of("classification")) == {}
    metrics["strategies"]["reached"] = {"fedavg": reached(0.83, {}, [])}
    assert strategy_section(metrics) == {}
    assert "Strategies of aggregation" not in render_report(metrics, study_toml)


def test_survival_without_unseen_hospitals_is_told_within_sites(metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    for arm in metrics["arms"].values():
        del arm["unseen"]
    told = {}
    for name, within, index in (("fedavg", 0.6, 0.7), ("scaffold", 0.7, 0.6)):
        values = {"c_index": {"value": index}, "c_index_within_site": {"value": within}}
        told[name] = reached(within, {}, []) | {"own_site_mean": values, "unseen": {}}
    row = apart("scaffold", 0.1, 0.001) | {"where": "own_site_mean", "metric": "c_index_within_site"}
    metrics["strategies"] = {"reference": "fedavg", "reached": told, "comparisons": [row]}
    highest, differs = strategy_sentences(metrics)
    assert highest == "Highest first, c-index within sites, own patients: SCAFFOLD 0.700, FedAvg 0.600."
    assert differs.startswith("SCAFFOLD differs from FedAvg")
