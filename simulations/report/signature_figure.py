"""How well each set of features names the hospital, beside what the model loses at unseen hospitals."""

from typing import Any

from markupsafe import Markup

from simulations.report.drawing import INK, MUTED, RULE, canvas, quiet, text_width, to_svg
from simulations.report.words import number

__all__ = ["row_name", "signature_figure"]

WIDTH = 640
COLOUR = "#7a5195"
WHAT = {"embedding": "Embedding", "predictions": "Predictions"}
CORRECTIONS = {"none": "", "site_scale": "scaled in the hospital", "combat": "ComBat"}
WHEN = {"frozen": "", "before": "before training", "after": "after training"}


def row_name(row: dict[str, Any]) -> str:
    """What was measured, as a reader knows it."""
    first = WHAT.get(row["what"], str(row["modality"]).capitalize())
    when = "" if row["what"] == "predictions" else WHEN.get(row["when"], row["when"])  # only the trained model's
    parts = [first, when, CORRECTIONS.get(row["correction"], row["correction"])]
    return ", ".join(part for part in parts if part)


def signature_figure(rows: list[dict[str, Any]]) -> Markup | None:
    """One row a measure: AUC with interval (filled), within an outcome class (bar), at random (ring); None without any.

    Rows of a correction are drawn lighter than what they correct.
    """
    shown = [row for row in rows if row["auc"] is not None]
    if not shown:
        return None
    names = [row_name(row) for row in shown]
    with quiet():
        figure, axes = canvas(WIDTH, 72 + 26 * len(shown), left=text_width(names, 320), top=28, bottom=30, right=52)
        axes.axvline(0.5, color="#9aa5b1", linewidth=1)
        for y, row in enumerate(shown):
            alpha = 1.0 if row["correction"] == "none" else 0.5
            if row["null"] is not None:
                axes.plot(row["null"], y, "o", markeredgecolor=MUTED, markerfacecolor="white", markersize=6)
            axes.hlines(y, row["low"], row["high"], color=COLOUR, linewidth=2.2, alpha=0.7 * alpha)
            axes.plot(row["auc"], y, "o", color=COLOUR, markersize=7.5, alpha=alpha)
            if row["within_class_auc"] is not None:
                axes.plot(row["within_class_auc"], y, "|", color=INK, markersize=13, markeredgewidth=1.6)
            axes.text(1.02, y, number(row["auc"]), transform=axes.get_yaxis_transform(), va="center", color=INK)
        for marker, colour, face, label in (
            ("o", COLOUR, COLOUR, "AUC"),
            ("|", INK, INK, "same outcome"),
            ("o", MUTED, "white", "at random"),
        ):
            axes.plot([], [], marker, markeredgecolor=colour, markerfacecolor=face, markersize=8, label=label)
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False, borderaxespad=0.2, handletextpad=0.3,
            columnspacing=1.2, fontsize=12,
        )  # fmt: skip
        axes.set_yticks(range(len(shown)), names)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(min(0.4, *(row["low"] for row in shown)), 1.01)
        axes.grid(axis="x", color=RULE, linewidth=0.8)
        listed = "; ".join(f"{name} {number(row['auc'])}" for name, row in zip(names, shown, strict=True))
        return to_svg(figure, "site-signature", f"AUC of naming the hospital, .5 = cannot be told: {listed}.")
