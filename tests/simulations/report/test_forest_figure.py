"""Rows of the forest plot: hospitals by size, all together, and reasons where nothing could be scored."""

from collections.abc import Callable
from typing import Any

from simulations.report.forest_figure import forest_figure, forest_rows

Make = Callable[[str], dict[str, Any]]


def test_own_hospitals_then_their_mean_then_the_unseen(metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    metrics["cohort"]["sites"]["HT"]["hospital"] = "Case Western Reserve, a name that is long"
    rows = forest_rows(metrics, "c_index")
    names = [row.name for row in rows]
    assert names[-3:] == ["Own, mean of hospitals", "CS", "Unseen, together"]
    assert names[0] == "HT  Case Western Reserve, a n…"
    assert [row.n for row in rows[:8]] == sorted([row.n or 0 for row in rows[:8]], reverse=True)
    assert [row.overall for row in rows] == [*[False] * 8, True, False, True]
    null = next(row for row in rows if row.name == "06")
    assert (null.known, null.reason, null.n) == (False, "fewer than 5 events", 12)


def test_left_out_in_turn_shows_hospitals_when_they_were_unseen(metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    metrics["protocol"]["name"] = "leave-one-site-out"
    assert [row.name for row in forest_rows(metrics, "c_index")] == ["CS", "Unseen, mean of folds"]


def test_the_figure_tells_every_value(metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    picture = forest_figure(metrics, "c_index")
    assert picture is not None
    value = metrics["arms"]["pooled"]["sites"]["DU"]["c_index"]
    assert f">{value['value']:.2f}<" in picture
    assert f">{value['low']:.2f}–{value['high']:.2f}<" in picture
    for text in ("Deaths", "fewer than 5 events", "Own, mean of hospitals"):
        assert f">{text}<" in picture


def test_nothing_scored_by_hospital_gives_no_figure(metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    for arm in metrics["arms"].values():
        arm["sites"], arm["unseen_sites"] = {}, {}
    assert forest_figure(metrics, "c_index") is None


def test_the_mean_says_over_how_many_hospitals(metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    for found in metrics["arms"].values():
        found["own_site_mean"]["c_index"]["sites"] = 3
    names = [row.name for row in forest_rows(metrics, "c_index")]
    assert f"Own, mean of 3 of {len(metrics['cohort']['sites'])} hospitals" in names
