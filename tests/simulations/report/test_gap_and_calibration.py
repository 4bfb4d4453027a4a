"""Own against unseen, and predictions against what came true."""

from collections.abc import Callable
from typing import Any

import pytest

from simulations.report.calibration_figures import calibration_figures
from simulations.report.gap_figure import gap_figure, gap_rows

Make = Callable[[str], dict[str, Any]]


def test_every_arm_and_the_hospital_alone_have_a_gap(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    rows = {name: (own["value"], unseen["value"]) for name, _, own, unseen in gap_rows(metrics, "accuracy")}
    assert list(rows) == ["Federated", "Pooled", "Local", "Hospital alone"]
    assert rows["Hospital alone"] == (0.52, 0.52)
    picture = gap_figure(metrics, "accuracy")
    assert picture is not None
    own, unseen = rows["Local"]
    assert f">{unseen - own:.3f}<".replace("-", "−") in picture


def test_without_unseen_patients_there_is_no_gap(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    for found in (*metrics["arms"].values(), *metrics["baselines"].values()):
        found.pop("unseen")
    assert gap_figure(metrics, "auc") is None


def test_reliability_has_one_figure_an_arm_and_hides_small_bins(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    figures = calibration_figures(metrics)
    assert [title for title, _ in figures] == ["Federated", "Local", "Pooled"]
    small = [b for b in metrics["calibration"]["local"]["own"]["bins"] if 0 < b["n"] < 5]
    assert len(small) == 1
    assert figures[1][1].count("&lt;5") == 2  # own and unseen
    assert ">36<" in figures[1][1]  # patients of the last bin


def test_survival_has_one_figure_an_arm_and_group(metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    figures = calibration_figures(metrics)
    assert len(figures) == 6
    assert figures[0][0] == "Federated, own patients"
    for text in ("12 mo", "24 mo", "60 mo", "Predicted survival (9 patients a group)"):
        assert f">{text}<" in figures[0][1]


@pytest.mark.parametrize("kind", ["classification", "survival"])
def test_nothing_but_suppressed_bins_gives_no_figure(metrics_of: Make, kind: str) -> None:
    metrics = metrics_of(kind)
    for arm in metrics["calibration"].values():
        for place in arm.values():
            for each in place["bins"]:
                each |= {"observed": None, "predicted": None, "reason": "fewer than 5 patients"}
    assert calibration_figures(metrics) == []
    assert calibration_figures({}) == []
