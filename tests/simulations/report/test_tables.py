from collections.abc import Callable
from typing import Any

from simulations.report.tables import (
    Cell,
    Footnotes,
    comparison_table,
    head_tables,
    metric_table,
    site_rows,
    site_table,
)

V = {"value": 0.8, "low": 0.7, "high": 0.9, "sd": None, "n": 40, "events": 12, "from": "statistics", "reason": None}
NULL = V | {"value": None, "low": None, "high": None, "reason": "one class"}


def test_a_cell_carries_interval_and_counts() -> None:
    cell = Footnotes().cell(V | {"sd": 0.01})
    assert cell == Cell("0.800", "0.700–0.900", "", "n 40, 12 events, SD over repeats 0.010, from merged statistics")


def test_equal_reasons_share_a_letter() -> None:
    notes = Footnotes()
    marks = [notes.cell(value).mark for value in (NULL, None, NULL)]
    assert marks == ["a", "b", "a"]
    assert notes.lines == [("a", "one class"), ("b", "not measured")]


def test_more_reasons_than_letters() -> None:
    notes = Footnotes()
    assert [notes.mark(str(i)) for i in range(28)][-3:] == ["z", "27", "28"]


def test_metric_table_has_the_columns_that_were_scored() -> None:
    metrics = {
        "arms": {"federated": {"own": {"auc": V}}, "local": {"unseen": {"auc": V}}},
        "baselines": {"site_alone": {"own": {"auc": NULL}}},
    }
    table = metric_table(metrics, "own", ["auc", "accuracy"])
    assert table.head == ["Federated", "Hospital alone"]
    assert [(name, [cell.text for cell in cells]) for name, _, cells in table.rows] == [("AUC", ["0.800", "–"])]
    assert table.notes == [("a", "one class")]


def test_site_table_keeps_codes_as_text_and_groups_by_metric() -> None:
    metrics = {"arms": {"federated": {"sites": {"06": {"auc": V}}}, "local": {"sites": {"HT": {"auc": V}}}}}
    table = site_table(metrics, ("auc",))
    assert table.groups == [("AUC", 2)]
    assert [(name, [cell.text for cell in cells]) for name, _, cells in table.rows] == [
        ("06", ["0.800", "–"]),
        ("HT", ["–", "0.800"]),
    ]


def test_comparisons() -> None:
    row = {"a": "federated", "b": "local", "where": "unseen", "metric": "auc"}
    table = comparison_table({"comparisons": [{**row, "difference": -0.1, "low": -0.2, "high": 0.1}]})
    ((name, colour, cells),) = table.rows
    assert (name, colour) == ("Federated − local", "#1f5f99")
    assert [cell.text for cell in cells] == ["Unseen hospitals", "AUC", "−0.100"]
    assert cells[2].spread == "−0.200 to 0.100"


def test_cohort_rows_follow_the_order_of_the_study() -> None:
    site = {"patients": 4, "train": 3, "test": 1, "classes": {"high": 1, "low": 3}, "modalities": {"slides": 0}}
    metrics = {"cohort": {"sites": {"06": site}, "unseen": {"patients": 2, "sites": 1, "classes": {"other": 2}}}}
    classes, modalities, (first, unseen) = site_rows(metrics, ["low", "high"])
    assert (classes, modalities) == (["low", "high", "other"], ["slides"])
    assert first["mix"] == [("low", 3, 75.0), ("high", 1, 25.0), ("other", 0, 0.0)]
    assert first["modalities"] == [0]
    assert (unseen["name"], unseen["modalities"], unseen["unseen"]) == ("Unseen (1 hospital)", [None], True)


def test_every_head_has_a_table_of_its_own(metrics_of: Callable[[str], dict[str, Any]]) -> None:
    metrics = metrics_of("classification")
    assert head_tables(metrics, ["c_index", "auc"]) == []
    metrics["arms"]["federated"]["heads"] = {"survival": {"own": {"c_index": {"value": 0.7, "n": 90}}}}
    ((title, table),) = head_tables(metrics, ["c_index", "auc"])
    assert title == "survival: own patients, together"
    assert table.head == ["Federated"]
    assert [(name, [cell.text for cell in cells]) for name, _, cells in table.rows] == [("c-index", ["0.700"])]
