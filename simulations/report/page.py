"""report.html: one file with everything in it, for a clinician and for a reviewer."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader
from markupsafe import Markup

from shared.metrics import LOWER_IS_BETTER
from simulations.attention import Pictures
from simulations.report.arm_sentences import arm_meanings, extra_arms, multiplicity
from simulations.report.attention_section import attention_section
from simulations.report.calibration_figures import calibration_figures
from simulations.report.card import card_html
from simulations.report.curve_figures import kaplan_meier_figure, learning_figure
from simulations.report.exports import ExportedFile, export
from simulations.report.fairness import fairness_figures, fairness_table
from simulations.report.flow_figure import flow_figure
from simulations.report.fold_tables import fold_table, hospital_draws_table
from simulations.report.forest_figure import forest_figure
from simulations.report.gap_figure import gap_figure
from simulations.report.long_tables import long_tables
from simulations.report.provenance import digests, settings_text, sources
from simulations.report.score_figures import (
    ablation_figure,
    differences_figure,
    scores_figure,
    signal_figure,
)
from simulations.report.sentences import (
    NOT_PRIVATE,
    against_floor,
    headline,
    held_branches,
    left_out_in_turn,
    private_arms,
    ranking,
    trained,
)
from simulations.report.signature_section import signature_section
from simulations.report.strategy_section import strategy_section
from simulations.report.subset_tables import subset_sites, subset_table
from simulations.report.tables import comparison_table, head_tables, metric_table, site_rows, site_table
from simulations.report.words import (
    METRICS,
    PLACES,
    at_hospitals,
    joined,
    key_metric,
    look,
    main_metrics,
    metric_name,
    number,
    place_name,
    shown_place,
    spread,
    task_kind,
    value_of,
)

__all__ = ["render_report", "write_report"]


def write_report(
    metrics: dict[str, Any],
    study_toml: str,
    folder: Path,
    pictures: Pictures | None = None,
    stress: dict[str, Any] | None = None,
) -> Path:
    """Write `folder`/report.html, its figures as SVG and its tables as CSV; returns the page's path.

    Parameters
    ----------
    metrics, study_toml
        The content of metrics.json, and the study as TOML.
    folder
        The run folder; its model card, where it has one, becomes a section.
    pictures
        Slides with what the model looked at; None = none are shown.
    stress
        Dose-response curves as `simulations.stresses.page.stress_words` puts them; None = there is no such section.
    """
    path, card = folder / "report.html", folder / "model-card.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    context = _context(metrics, tomllib.loads(study_toml), study_toml, pictures, text)
    tables = long_tables(metrics)
    if stress is not None:
        context["stress"] = stress
        tables["stress"] = stress["rows"]
    files = export(folder, context, tables)
    path.write_text(_render(context, files), encoding="utf-8")
    return path


def render_report(metrics: dict[str, Any], study_toml: str, pictures: Pictures | None = None, card: str = "") -> str:
    """The page as text: no reference to anything outside it, every value escaped."""
    return _render(_context(metrics, tomllib.loads(study_toml), study_toml, pictures, card), [])


def _render(context: dict[str, Any], files: list[ExportedFile]) -> str:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("simulations.report", "."), PackageLoader("simulations.stresses", ".")]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render({**context, "files": files})


def _context(
    metrics: dict[str, Any], study: dict[str, Any], study_toml: str, pictures: Pictures | None, card: str
) -> dict[str, Any]:
    main = main_metrics(metrics)
    title, key = headline(metrics)
    task = study.get("task", {})
    classes, modalities, rows = site_rows(metrics, task.get("classes", []))
    names = [*main, *(name for name in METRICS if name not in main)]
    return {
        "study": metrics.get("study", {}),
        "started": str(metrics.get("started", ""))[:16].replace("T", " "),
        "title": title,
        "key": key,
        "ranking": ranking(metrics),
        "floors": [*extra_arms(metrics), *against_floor(metrics)],
        "meanings": arm_meanings(metrics),
        "iid": "iid" in metrics.get("arms", {}),
        "multiplicity": multiplicity(metrics),
        "flow": [("Flow of patients", picture) for picture in [flow_figure(metrics)] if picture is not None],
        "fairness": fairness_table(metrics),
        "folds": fold_table(metrics),
        "hospital_draws": hospital_draws_table(metrics),
        "sources": sources(metrics),
        "digests": digests(metrics),
        "card": card_html(card) if card else "",
        "trained": trained(metrics, study),
        "tiles": _tiles(metrics),
        "survival": task_kind(metrics) == "survival",
        "classes": classes,
        "modalities": modalities,
        "rows": rows,
        "excluded": metrics.get("cohort", {}).get("excluded") or {},
        "tables": [(place_name(place), metric_table(metrics, place, names)) for place in PLACES],
        "comparisons": comparison_table(metrics),
        "heads": head_tables(metrics, list(METRICS)),
        "sites": [(metric_name(name), site_table(metrics, (name,))) for name in _at_one_site(main)],
        "figures": _figures(metrics, main),
        "subsets": subset_table(metrics),
        "subset_sites": subset_sites(metrics),
        "attention": attention_section(metrics, task, pictures),
        "strategies": strategy_section(metrics),
        "signature": signature_section(metrics),
        "lower": joined([metric_name(name) for name in METRICS if name in LOWER_IS_BETTER]),
        "synthetic": metrics.get("synthetic") or [],
        "notes": metrics.get("notes") or [],
        "in_turn": left_out_in_turn(metrics),
        "privacy": {site: v for site, v in (metrics.get("privacy") or {}).items() if v.get("mode") != "off"},
        "protocol": metrics.get("protocol") or {},
        "software": metrics.get("software") or {},
        "timing": metrics.get("timing") or {},
        "seed": metrics.get("seed"),
        "command": metrics.get("command", ""),
        "held": held_branches(metrics),
        "study_toml": settings_text(study_toml),
        "number": number,
        "look": look,
    }


def _tiles(metrics: dict[str, Any]) -> list[dict[str, str]]:
    """The key figure of each arm, large, with what the hospital alone would reach."""
    place = shown_place(metrics)
    main = key_metric(metrics, place)
    alone = value_of((metrics.get("baselines") or {}).get("site_alone") or {}, place, main)
    private = bool(private_arms(metrics))
    tiles = []
    for arm, scores in metrics.get("arms", {}).items():
        value = (scores.get(place) or {}).get(main) or {}
        tiles.append(
            {
                "name": look(arm).name,
                "colour": look(arm).colour,
                "value": number(value.get("value")),
                "spread": f"95 % {spread(value)}" if spread(value) else str(value.get("reason") or ""),
                "label": f"{metric_name(main)}, {place_name(place, main).lower()}",
                "privacy": ("not private" if arm in NOT_PRIVATE else "private") if private else "",
                "alone": "" if alone is None else f"Hospital alone: {number(alone)}",
            }
        )
    return tiles


def _figures(metrics: dict[str, Any], main: tuple[str, ...]) -> dict[str, list[tuple[str, Markup]]]:
    """Small multiples by section: a title and a picture each; sections without a picture are empty."""
    arms = metrics.get("arms", {})
    records = [record for scores in arms.values() for record in scores.get("rounds") or []]
    losses = [r["loss"] for r in records if r.get("loss") is not None]
    losses += [site["loss"] for r in records for site in (r.get("sites") or {}).values() if "loss" in site]
    top = 1.05 * max(losses) if losses else None
    curves = (metrics.get("curves") or {}).get("kaplan_meier") or {}
    groups = [group for found in curves.values() for arm in found.values() for group in arm]
    months = max((time for group in groups for time in group["time"]), default=None)
    pictures: dict[str, Sequence[tuple[str, Markup | None]]] = {
        "scores": [
            (_score_title(metrics, metric, place), scores_figure(metrics, metric, place))
            for metric in main
            for place in ("own_site_mean", "unseen")
        ],
        "differences": [(metric_name(m), differences_figure(metrics.get("comparisons", []), m)) for m in main],
        "gap": [(_gap_title(metrics, metric), gap_figure(metrics, metric)) for metric in main],
        "forest": [(metric_name(metric), forest_figure(metrics, metric)) for metric in _at_one_site(main)],
        "calibration": calibration_figures(metrics),
        "fairness": fairness_figures(metrics),
        "learning": [
            (look(arm).name, learning_figure(arm, found.get("rounds") or [], top)) for arm, found in arms.items()
        ],
        "survival": [
            (f"{look(arm).name}, {place_name(place).lower()}", kaplan_meier_figure(arm, place, parts, months))
            for place, found in curves.items()
            for arm, parts in found.items()
        ],
        "ablation": [
            (f"{metric_name(main[0])}, {place_name(place).lower()}", ablation_figure(metrics, main[0], place))
            for place in ("own", "unseen")
        ],
        "signal": [("AUC, own patients", signal_figure(metrics.get("signal") or {}, metrics))],
    }
    return {section: [(t, p) for t, p in found if p is not None] for section, found in pictures.items()}


def _score_title(metrics: dict[str, Any], metric: str, place: str) -> str:
    """`c-index, own patients, mean of sites (5 of 18 hospitals)`."""
    few = at_hospitals(metrics, metric) if place == "own_site_mean" else ""
    return f"{metric_name(metric)}, {place_name(place, metric).lower()}" + (f" ({few})" if few else "")


def _gap_title(metrics: dict[str, Any], metric: str) -> str:
    few = at_hospitals(metrics, metric)
    return metric_name(metric) + (f" (own: {few})" if few else "")


def _at_one_site(main: tuple[str, ...]) -> tuple[str, ...]:
    """At one hospital the c-index is the one within sites."""
    return tuple(name for name in main if name != "c_index_within_site")
