from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from simulations.report import print_summary

Make = Callable[[str], dict[str, Any]]


def printed(metrics: dict[str, Any], width: int = 120) -> str:
    out = StringIO()
    print_summary(metrics, Console(file=out, width=width))
    return out.getvalue()


def test_arms_floors_and_comparisons(metrics_of: Make) -> None:
    text = printed(metrics_of("classification"))
    rows = {line.split("  ")[0]: line for line in text.splitlines()}
    assert {"AUC", "Accuracy", "Federated", "Pooled", "Local", "Linear, expression only", "Hospital alone"} <= set(rows)
    assert "Federated − local   Unseen hospitals" in text
    assert "0.087–0.187" in text
    assert "Training together helped." in text


def test_survival_shows_both_indices(metrics_of: Make) -> None:
    lines = printed(metrics_of("survival")).splitlines()
    assert {"c-index", "c-index within sites"} <= {line.strip() for line in lines}


def test_null_is_a_dash_with_its_reason_below(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    metrics["arms"]["federated"]["own"]["auc"] |= {"value": None, "reason": "one class"}
    text = printed(metrics)
    assert "– one class" in text
    assert "None" not in text


@pytest.mark.parametrize("key", ["comparisons", "baselines"])
def test_what_may_be_missing(key: str, metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    del metrics[key]
    assert "Federated" in printed(metrics)


def test_no_brackets_of_a_name_are_read_as_colour(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    metrics["baselines"]["[red]x"] = metrics["baselines"].pop("site_alone")
    assert "[red]x" in printed(metrics)


def test_tables_fit_a_terminal_of_100_columns(metrics_of: Make) -> None:
    text = printed(metrics_of("survival"), width=100)
    assert "Hospital alone " in text
    assert "…" not in text


def test_local_models_have_no_list_of_all_own_patients(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    text = printed(metrics)
    local = next(line for line in text.splitlines() if line.startswith("Local"))
    own, mean = (metrics["arms"]["local"][place]["auc"]["value"] for place in ("own", "own_site_mean"))
    assert f"{mean:.3f}" in local
    assert local.split()[1] == "–"
    assert own != mean
    assert "on no common scale" in text


def test_a_mean_over_few_hospitals_says_over_how_many(metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    assert "hospitals." not in printed(metrics)
    own = metrics["arms"]["local"]["own_site_mean"]
    own["c_index"]["sites"], own["c_index_within_site"]["sites"] = 1, 3
    text, every = printed(metrics), len(metrics["cohort"]["sites"])
    assert text.count(f"Mean of sites: at 1 of {every} hospitals.") == 1
    assert text.count(f"Pairs of patients: at 3 of {every} hospitals.") == 1
