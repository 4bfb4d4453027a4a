"""Figures over time: the loss of each round, and survival by predicted risk."""

from typing import Any

from markupsafe import Markup
from matplotlib.ticker import FixedLocator, MaxNLocator

from simulations.report.drawing import RULE, canvas, legend_above, quiet, to_svg
from simulations.report.words import look, place_name

__all__ = ["kaplan_meier_figure", "learning_figure"]

WIDTH = 340
GROUPS = ("#2a7f8e", "#8a93a0", "#b0476b", "#5b4a8a")
STYLES = ("-", "-.", "--", ":")


def learning_figure(arm: str, rounds: list[dict[str, Any]], top: float | None = None) -> Markup | None:
    """Training loss a round: the arm's own in bold, each hospital's thin; None when no loss was recorded.

    `top` is the common upper end of the axes of several arms.
    """
    total = [(r["round"], r["loss"]) for r in rounds if r.get("loss") is not None]
    sites: dict[str, list[tuple[int, float]]] = {}
    for record in rounds:
        for site, found in (record.get("sites") or {}).items():
            if isinstance(found, dict) and found.get("loss") is not None:
                sites.setdefault(site, []).append((record["round"], found["loss"]))
    if not total and not sites:
        return None
    style = look(arm)
    with quiet():
        figure, axes = canvas(WIDTH, 220, left=48, bottom=48)
        for points in sites.values():
            axes.plot(*zip(*points, strict=True), color=style.colour, linewidth=0.9, alpha=0.28 if total else 0.6)
        if total:
            axes.plot(
                *zip(*total, strict=True), color=style.colour, linewidth=2.4, marker="o" if len(total) == 1 else None
            )
        axes.grid(axis="y", color=RULE, linewidth=0.8)
        axes.set_ylim(0, top)
        seen = sorted({record["round"] for record in rounds})
        axes.xaxis.set_major_locator(FixedLocator(seen) if len(seen) == 1 else MaxNLocator(integer=True))
        axes.set_xlabel("Round")
        axes.set_ylabel("Loss")
        alt = f"Training loss of the {style.name.lower()} arm"
        if total:
            alt += f": {total[0][1]:.3f} in round {total[0][0]}, {total[-1][1]:.3f} in round {total[-1][0]}"
        return to_svg(figure, f"learning-{arm}", f"{alt}; {len(sites)} hospitals.")


def kaplan_meier_figure(
    arm: str, place: str, groups: list[dict[str, Any]], months: float | None = None
) -> Markup | None:
    """Kaplan-Meier survival of the groups by predicted risk; months against the share alive. None without a group.

    `months` is the common end of the axes of several arms.
    """
    if not groups:
        return None
    last = months or max((time for group in groups for time in group["time"]), default=1.0)
    with quiet():
        figure, axes = canvas(WIDTH, 230 + 20 * len(groups), left=56, top=6 + 20 * len(groups), bottom=48)
        for i, group in enumerate(groups):
            times, alive = [0.0, *group["time"]], [1.0, *group["survival"]]
            colour = GROUPS[0] if i == 0 else GROUPS[2] if i == len(groups) - 1 else GROUPS[1]
            label = f"{group['group']} (n {group['n']}, {group['events']} deaths)"
            axes.step(times, alive, where="post", color=colour, linewidth=2.2, linestyle=STYLES[i % 4], label=label)
        axes.set_ylim(0, 1.04)
        axes.set_xlim(0, last)
        axes.grid(axis="y", color=RULE, linewidth=0.8)
        axes.set_xlabel("Months since diagnosis")
        axes.set_ylabel("Alive")
        axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        legend_above(axes, columns=1)
        ends = "; ".join(f"{g['group']}, {g['n']} patients, {g['events']} deaths" for g in groups)
        who = f"the {look(arm).name.lower()} arm, {place_name(place).lower()}"
        alt = f"Kaplan-Meier survival by risk predicted by {who}: {ends}."
        return to_svg(figure, f"survival-{arm}-{place}", alt)
