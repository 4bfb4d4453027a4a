"""Figures of attention: whether it lies on the drawn lesion, and how it is divided among groups and modalities."""

from typing import Any

import numpy as np
from markupsafe import Markup

from simulations.report.drawing import RULE, canvas, legend_above, quiet, to_svg
from simulations.report.row_figures import Mark, many_marks, one_mark, span_of
from simulations.report.words import FLOOR, KINDS, Look, look, number, spread

__all__ = ["lesion_auc_figure", "lesion_mean_figure", "lesion_share_figure", "weights_figure"]

PARTS_AT_MOST = 20
MARKERS = "osD^vP*X"


def lesion_share_figure(lesion: dict[str, Any], arm: str) -> Markup:
    """One point a patient: the share of lesion of all tiles seen against the same share weighted by attention."""
    everywhere, attended = zip(*lesion["points"], strict=True)
    style = look(arm)
    with quiet():
        figure, axes = canvas(500, 330, left=58, right=20, top=26, bottom=50)
        axes.plot([0, 1], [0, 1], color="#9aa5b1", linewidth=1, linestyle="--", label="attention spread evenly")
        axes.scatter(everywhere, attended, s=26, color=style.colour, alpha=0.6, linewidth=0, label="one patient")
        axes.grid(color=RULE, linewidth=0.8)
        ends = min(*everywhere, *attended) - 0.04, min(1.02, max(*everywhere, *attended) + 0.04)
        axes.set_xlim(*ends)
        axes.set_ylim(*ends)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.set_xlabel("Lesion in the tiles, plain mean")
        axes.set_ylabel("Mean by attention")
        legend_above(axes, columns=2)
        above = int(np.sum(np.array(attended) > np.array(everywhere)))
        alt = f"Lesion in the tiles by attention against the plain mean: higher for {above} of {len(attended)} patients"
        means = f"{number(lesion['attended']['value'])} against {number(lesion['everywhere']['value'])} on average"
        return to_svg(figure, "lesion-share", f"{alt}, {means}.")


def lesion_auc_figure(lesion: dict[str, Any], arm: str) -> Markup | None:
    """How well attention tells tiles in the lesion from tiles outside, before and after training; .5 is chance."""
    rows = [
        ("After training", [Mark(look(arm), lesion["auc"])]),
        ("Before training", [Mark(FLOOR, lesion["untrained"]["auc"], filled=False)]),
    ]
    rows = [(name, marks) for name, marks in rows if marks[0].value["value"] is not None]
    if not rows:
        return None
    listed = "; ".join(f"{name.lower()} {number(m.value['value'])} ({spread(m.value)})" for name, (m,) in rows)
    chance = Mark(FLOOR, {"value": 0.5})
    span = span_of([chance, *(mark for _, (mark,) in rows)])
    return one_mark(
        "lesion-auc", f"AUC of attention for tiles in the lesion: {listed}; chance .5.", rows, span, line=0.5
    )


def lesion_mean_figure(lesion: dict[str, Any], arm: str) -> Markup:
    """The share of lesion in the tiles as the mean over patients: by attention, before training, and plainly."""
    rows = [
        ("By attention", [Mark(look(arm), lesion["attended"])]),
        ("Before training", [Mark(FLOOR, lesion["untrained"]["attended"], filled=False)]),
        ("All tiles alike", [Mark(FLOOR, lesion["everywhere"], filled=False)]),
    ]
    listed = "; ".join(f"{name.lower()} {number(m.value['value'])} ({spread(m.value)})" for name, (m,) in rows)
    span = span_of(mark for _, (mark,) in rows)
    return one_mark("lesion-mean", f"Share of lesion in the tiles: {listed}.", rows, span)


def weights_figure(name: str, title: str, found: dict[str, Any]) -> Markup:
    """Mean weight of each part (gene group or modality), one mark a class; the 20 largest, largest first."""
    kinds = list(found["kinds"].items())
    names = np.array(found["names"])
    order = np.argsort(-np.mean([kind["mean"] for _, kind in kinds], axis=0), kind="stable")[:PARTS_AT_MOST]
    looks = [
        Look(label if len(kinds) == 1 else f"{label} (n {kind['n']})", KINDS[i % len(KINDS)], MARKERS[i % len(MARKERS)])
        for i, (label, kind) in enumerate(kinds)
    ]
    rows = [
        (
            _short(str(names[part])),
            [Mark(style, {"value": kind["mean"][part]}) for style, (_, kind) in zip(looks, kinds, strict=True)],
        )
        for part in order
    ]
    return many_marks(name, title, rows, line=1 / len(names))


def _short(name: str) -> str:
    """A name of a gene group as words, broken where it is long."""
    words = name.replace("_", " ")
    if len(words) <= 26 or " " not in words:
        return words
    middle = min((i for i, c in enumerate(words) if c == " "), key=lambda i: abs(i - len(words) / 2))
    return f"{words[:middle]}\n{words[middle + 1 :]}"
