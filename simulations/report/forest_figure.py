"""A forest plot: one row a hospital with its patients and events, each arm's score with its interval, all together."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes

from simulations.report.drawing import INK, MUTED, RULE, canvas, quiet, to_svg
from simulations.report.row_figures import Mark, span_of
from simulations.report.sentences import left_out_in_turn
from simulations.report.words import at_hospitals, look, metric_name, number, spread

__all__ = ["ForestRow", "forest_figure", "forest_rows"]

WIDTH = 1040
LEFT, RIGHT = 330, 172  # CSS px: name, n and events; value and interval
STEP, AIR = 16, 12  # CSS px an arm, and between rows
SITES_AT_MOST = 40
NAME_AT_MOST = 30


@dataclass(frozen=True)
class ForestRow:
    """A hospital, or all of them together, with every arm's V."""

    name: str
    n: int | None
    events: int | None
    values: dict[str, dict[str, Any]]  # arm -> V
    overall: bool = False

    @property
    def known(self) -> bool:
        """Whether any arm has a score here."""
        return any(value.get("value") is not None for value in self.values.values())

    @property
    def reason(self) -> str:
        """Why no arm has one."""
        return next((str(v["reason"]) for v in self.values.values() if v.get("reason")), "not measured")


def forest_rows(metrics: dict[str, Any], metric: str) -> list[ForestRow]:
    """Hospitals by size, then all together.

    Where hospitals are left out of training in turn, a row is the hospital when it was unseen; else it is its own test
    patients, and the unseen hospitals of 10 patients or more follow.
    """
    arms = metrics.get("arms") or {}
    turn = left_out_in_turn(metrics) and any(found.get("unseen_sites") for found in arms.values())
    rows = _sites(metrics, metric, "unseen_sites" if turn else "sites")
    if not turn:
        few = at_hospitals(metrics, metric) or "hospitals"
        rows += [_overall(arms, metric, "own_site_mean", f"Own, mean of {few}")]
        rows += _sites(metrics, metric, "unseen_sites")
    rows.append(_overall(arms, metric, "unseen", "Unseen, mean of folds" if turn else "Unseen, together"))
    return rows if any(row.known and not row.overall for row in rows) else []


def forest_figure(metrics: dict[str, Any], metric: str) -> Markup | None:
    """The plot of one metric; None where no hospital was scored."""
    rows = forest_rows(metrics, metric)
    if not rows:
        return None
    arms = list(dict.fromkeys(arm for row in rows for arm in row.values))
    marks = [Mark(look(arm), v) for row in rows for arm, v in row.values.items() if v.get("value") is not None]
    heights = [STEP * (len(row.values) if row.known else 1) + AIR for row in rows]
    with quiet():
        figure, axes = canvas(WIDTH, 84 + sum(heights), left=LEFT, right=RIGHT, top=52)
        axes.set_xlim(*span_of(marks))
        axes.set_ylim(sum(heights), 0)
        for i, (row, height) in enumerate(zip(rows, heights, strict=True)):
            _draw(axes, row, sum(heights[:i]), height)
        _headings(axes, any(row.events is not None for row in rows), metric)
        axes.set_yticks([])
        axes.grid(axis="x", color=RULE, linewidth=0.8)
        for arm in arms:
            style = look(arm)
            axes.scatter([], [], color=style.colour, marker=style.marker, s=40, label=style.name)
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1 + 24 / sum(heights)), ncols=6, frameon=False, borderaxespad=0.2,
            handletextpad=0.5, columnspacing=1.4, fontsize=12,
        )  # fmt: skip
        listed = "; ".join(f"{row.name} {_told(row)}" for row in rows)
        return to_svg(figure, f"forest-{metric}", f"Forest plot of {metric_name(metric)} by hospital: {listed}.")


def _sites(metrics: dict[str, Any], metric: str, key: str) -> list[ForestRow]:
    named = (metrics.get("cohort") or {}).get("sites") or {}
    arms = {arm: found[key] for arm, found in (metrics.get("arms") or {}).items() if found.get(key)}
    rows = []
    for site in dict.fromkeys(site for found in arms.values() for site in found):
        values = {arm: found[site][metric] for arm, found in arms.items() if metric in (found.get(site) or {})}
        hospital = (named.get(site) or {}).get("hospital") or ""
        name = f"{site}  {hospital}".strip()
        rows.append(_row(name if len(name) <= NAME_AT_MOST else name[: NAME_AT_MOST - 1] + "…", values))
    return sorted(rows, key=lambda row: -(row.n or 0))[:SITES_AT_MOST]


def _overall(arms: dict[str, Any], metric: str, place: str, name: str) -> ForestRow:
    values = {arm: found[place][metric] for arm, found in arms.items() if metric in (found.get(place) or {})}
    return _row(name, values, overall=True)


def _row(name: str, values: dict[str, dict[str, Any]], *, overall: bool = False) -> ForestRow:
    n = next((v["n"] for v in values.values() if v.get("n") is not None), None)
    events = next((v["events"] for v in values.values() if v.get("events") is not None), None)
    return ForestRow(name, n, events, values, overall)


def _draw(axes: Axes, row: ForestRow, top: float, height: float) -> None:
    """One row, from `top` to `top` + `height` in CSS px of the axes."""
    across, plot, middle = axes.get_yaxis_transform(), WIDTH - LEFT - RIGHT, top + height / 2
    axes.axhspan(top, top + height, color="#eef3f7" if row.overall else "white", linewidth=0)
    axes.axhline(top, color=RULE, linewidth=0.8)
    weight = "bold" if row.overall else "normal"
    axes.text(-LEFT / plot, middle, row.name, transform=across, va="center", weight=weight, color=INK)
    for x, count in ((-92, row.n), (-22, row.events)):
        text = "" if count is None else str(count)
        axes.text(x / plot, middle, text, transform=across, va="center", ha="right", color=MUTED)
    if not row.known:
        axes.text(1 + 14 / plot, middle, row.reason, transform=across, va="center", color=MUTED, size=11.5)
        return
    for i, (arm, value) in enumerate(row.values.items()):
        at, style = middle + (i - (len(row.values) - 1) / 2) * STEP, look(arm)
        figure, interval = number(value.get("value"), 2), spread(value, 2)
        axes.text(1 + 14 / plot, at, figure, transform=across, va="center", color=style.colour, size=11.5)
        axes.text(1 + 58 / plot, at, interval, transform=across, va="center", color=MUTED, size=11.5)
        if value.get("value") is None:
            continue
        if interval:
            axes.hlines(at, value["low"], value["high"], color=style.colour, linewidth=1.5, alpha=0.65)
        size = 58 if row.overall else 36
        axes.scatter([value["value"]], [at], s=size, marker=style.marker, color=style.colour, zorder=3)


def _headings(axes: Axes, events: bool, metric: str) -> None:
    plot, across = WIDTH - LEFT - RIGHT, axes.get_yaxis_transform()
    heads = [(-LEFT, "Hospital", "left"), (-92, "Patients", "right"), (14, metric_name(metric), "left")]
    heads += [(-22, "Deaths", "right")] if events else []
    for x, text, side in heads:
        at = x / plot if x < 0 else 1 + x / plot
        axes.text(at, -11, text, transform=across, va="center", ha=side, color=MUTED, size=11.5, clip_on=False)


def _told(row: ForestRow) -> str:
    return ", ".join(f"{look(arm).name.lower()} {number(v.get('value'))}" for arm, v in row.values.items())
