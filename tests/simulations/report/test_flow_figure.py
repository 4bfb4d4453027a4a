"""The flow of patients: every patient of the cohort is in it, whatever the protocol."""

import re
from collections.abc import Callable
from typing import Any

from simulations.report.flow_figure import flow_figure, flow_rows

Make = Callable[[str], dict[str, Any]]


def _texts(metrics: dict[str, Any]) -> list[str]:
    picture = flow_figure(metrics)
    assert picture is not None
    return re.findall(r"<text [^>]*>([^<]*)</text>", picture)


def test_numbers_add_up_from_cohort_to_groups(metrics_of: Make) -> None:
    rows = {(stage, group): n for stage, group, n in flow_rows(metrics_of("survival"))}
    left_out = rows["left out", "no modality at all"] + rows["left out", "no grade"]
    assert rows["cohort", "all"] == rows["analysed", "all"] + left_out == 369 + 7
    patients, train, test = (rows[f"training hospitals, {key}", "all"] for key in ("patients", "train", "test"))
    assert patients == train + test
    assert rows["unseen hospitals", "all"] == 46


def test_every_box_names_its_patients(metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    texts = _texts(metrics)
    deaths = sum(site["events"] for site in metrics["cohort"]["sites"].values())
    for text in (
        "n = 376", "Left out (n = 7)", "5: no grade", "2: no modality at all", f"n = 369, {deaths + 15} deaths",
        "Training hospitals (8)", "Unseen hospitals (4)", "n = 46, 15 deaths",
    ):  # fmt: skip
        assert text in texts


def test_nobody_left_out_and_nobody_unseen(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    metrics["cohort"] |= {"excluded": {}, "unseen": {"patients": 0, "sites": 0}}
    texts = _texts(metrics)
    assert "nobody" in texts
    assert not [text for text in texts if text.startswith("Unseen")]


def test_leaving_out_in_turn_gives_the_span_of_the_folds(metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    sites = metrics["cohort"]["sites"]
    metrics["cohort"]["unseen"] = {}
    folds = [{"sites": [name], "patients": site["patients"], "classes": {}} for name, site in sites.items()]
    metrics["protocol"] = {"name": "leave-one-site-out", "folds": 8, "unseen": folds}
    train = [sum(s["train"] for s in sites.values()) - site["train"] for site in sites.values()]
    texts = _texts(metrics)
    assert "in 8 folds, every hospital left out of training in turn" in texts
    assert f"n = {min(train)} to {max(train)} a fold" in texts
    assert "n = 24 to 60 a fold" in texts


def test_many_reasons_are_cut_short_but_counted(metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    metrics["cohort"]["excluded"] = {f"reason {i}": 20 - i for i in range(12)}
    texts = _texts(metrics)
    assert "20: reason 0" in texts
    assert f"{sum(20 - i for i in range(8, 12))}: other reasons" in texts


def test_no_cohort_has_no_flow() -> None:
    assert flow_figure({}) is None
    assert flow_rows({"cohort": {}}) == []
