"""Where the patients went, from the cohort to the groups that were scored: a flow diagram as CONSORT and STROBE ask."""

import textwrap
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape

from simulations.report.drawing import INK, MUTED, RULE
from simulations.report.sentences import hospitals, left_out_in_turn

__all__ = ["flow_figure", "flow_rows"]

WIDTH = 860
LINE, PAD, GAP = 19, 12, 34  # CSS px: a line of text, around it, between boxes
LETTER = 6.9  # CSS px, an upper guess at the mean width of a letter
REASONS_AT_MOST = 8


@dataclass
class Box:
    """A title and lines in a frame; `y` and `height` follow from the layout."""

    x: float
    width: float
    title: str
    lines: list[str]
    y: float = 0.0
    wrapped: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        most = int((self.width - 2 * PAD) / LETTER)
        self.wrapped = [part for line in self.lines for part in textwrap.wrap(line, most) or [""]]

    @property
    def height(self) -> float:
        """Room for the title and every wrapped line."""
        return 2 * PAD + LINE * (1 + len(self.wrapped)) - 3

    @property
    def middle(self) -> float:
        """Its centre from left to right."""
        return self.x + self.width / 2

    def svg(self) -> str:
        """The frame and its text."""
        rect = f'<rect x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" height="{self.height:g}" rx="7" '
        rect += f'fill="#f6f8fa" stroke="{RULE}"/>'
        texts = [(self.title, f'font-weight="620" fill="{INK}"')]
        texts += [(line, f'fill="{MUTED}"') for line in self.wrapped]
        return rect + "".join(
            f'<text x="{self.x + PAD:g}" y="{self.y + PAD + 13 + LINE * i:g}" font-size="13.5" {style}>'
            f"{escape(text)}</text>"
            for i, (text, style) in enumerate(texts)
        )


def flow_rows(metrics: dict[str, Any]) -> list[tuple[str, str, int]]:
    """(stage, group, patients) in reading order, for the table beside the figure; [] without a cohort."""
    cohort = metrics.get("cohort") or {}
    if not cohort.get("patients"):
        return []
    excluded, sites, unseen = cohort.get("excluded") or {}, cohort.get("sites") or {}, cohort.get("unseen") or {}
    rows = [("cohort", "all", cohort["patients"] + sum(excluded.values()))]
    rows += [("left out", reason, n) for reason, n in excluded.items()]
    rows.append(("analysed", "all", cohort["patients"]))
    rows += [(f"training hospitals, {key}", "all", _sum(sites, key)) for key in ("patients", "train", "test")]
    return [*rows, ("unseen hospitals", "all", unseen.get("patients") or 0)]


def flow_figure(metrics: dict[str, Any]) -> Markup | None:
    """The diagram: cohort, left out by reason, analysed, training and test patients, unseen patients."""
    cohort = metrics.get("cohort") or {}
    if not cohort.get("patients"):
        return None
    excluded = dict(cohort.get("excluded") or {})
    total = cohort["patients"] + sum(excluded.values())
    sites = cohort.get("sites") or {}
    top = Box(0, 420, "Patients in the cohort", [f"n = {total}"])
    out = Box(500, 360, f"Left out (n = {sum(excluded.values())})", _reasons(excluded))
    groups = [*sites.values(), cohort.get("unseen") or {}]
    deaths = [found["events"] for found in groups if found.get("events") is not None]
    died = f", {sum(deaths)} deaths" if deaths and not left_out_in_turn(metrics) else ""
    analysed = Box(0, 420, "Analysed", [f"n = {cohort['patients']}{died}"])
    below = _in_turn(metrics) if left_out_in_turn(metrics) else _held_out(metrics)
    out.y = top.y + top.height + GAP / 2
    analysed.y = max(out.y + out.height, top.y + top.height) + GAP / 2
    branch = out.y + out.height / 2
    parts = [top.svg(), out.svg(), analysed.svg()]
    parts.append(_arrow(top.middle, top.y + top.height, top.middle, analysed.y))
    parts.append(_arrow(top.middle, branch, out.x, branch))
    end = analysed.y + analysed.height
    above = [analysed]
    for row in below:
        y = end + GAP
        for box in row:
            box.y = y
            parent = min(above, key=lambda one: (not one.x <= box.middle <= one.x + one.width, one.x))
            parts += [box.svg(), _elbow(parent, box)]
        end = max(box.y + box.height for box in row)
        above = row
    alt = "Flow of patients: " + "; ".join(f"{stage}, {name}: {n}" for stage, name, n in flow_rows(metrics)) + "."
    begin = f'<svg viewBox="-1 -1 {WIDTH + 2} {end + 2:g}" role="img" aria-label="{escape(alt)}" '
    begin += f'style="max-width:{WIDTH}px" class="figure"><title>{escape(alt)}</title>'
    begin += '<defs><marker id="flow-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    begin += f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{MUTED}"/></marker></defs>'
    return Markup(begin + "".join(parts) + "</svg>")  # noqa: S704 - every text is escaped above


def _held_out(metrics: dict[str, Any]) -> list[list[Box]]:
    cohort = metrics["cohort"]
    sites, unseen = cohort.get("sites") or {}, cohort.get("unseen") or {}
    name = (metrics.get("protocol") or {}).get("name")
    fold = ["first fold; every patient is tested once"] if name == "patient-kfold" else []
    trained = Box(0, 420, f"Training hospitals ({len(sites)})", [f"n = {_sum(sites, 'patients')}{_died(sites)}"])
    row = [trained]
    if unseen.get("patients"):
        few = f"n = {unseen['patients']}" + (f", {unseen['events']} deaths" if unseen.get("events") is not None else "")
        row.append(Box(500, 360, f"Unseen hospitals ({unseen.get('sites')})", [few, "tested, never trained on"]))
    return [
        row,
        [
            Box(0, 200, "Training patients", [f"n = {_sum(sites, 'train')}", *fold]),
            Box(220, 200, "Own test patients", [f"n = {_sum(sites, 'test')}"]),
        ],
    ]


def _in_turn(metrics: dict[str, Any]) -> list[list[Box]]:
    sites = (metrics.get("cohort") or {}).get("sites") or {}
    protocol = metrics.get("protocol") or {}
    folds = protocol.get("folds") or len(sites)
    one_each = protocol.get("name") == "leave-one-site-out" and folds == len(sites)
    each = f"in {folds} folds, every hospital left out of training {'in turn' if one_each else 'once'}"

    def span(key: str) -> str:
        counts = [_sum(sites, key) - (found.get(key) or 0) for found in sites.values()]
        return f"n = {min(counts)} to {max(counts)} a fold" if one_each else "of the other hospitals"

    left = [fold["patients"] for fold in protocol.get("unseen") or []]
    unseen = f"n = {min(left)} to {max(left)} a fold" if left else "every hospital in one fold"
    return [
        [Box(0, 420, hospitals(sites).capitalize(), [each])],
        [
            Box(0, 270, "Training patients", [span("train")]),
            Box(295, 270, "Own test patients", [span("test")]),
            Box(590, 270, "Unseen: the hospitals left out", [unseen, "all their patients"]),
        ],
    ]


def _reasons(excluded: dict[str, int]) -> list[str]:
    if not excluded:
        return ["nobody"]
    order = sorted(excluded, key=lambda reason: -excluded[reason])
    lines = [f"{excluded[reason]}: {reason}" for reason in order[:REASONS_AT_MOST]]
    more = sum(excluded[reason] for reason in order[REASONS_AT_MOST:])
    return [*lines, f"{more}: other reasons"] if more else lines


def _died(sites: dict[str, Any]) -> str:
    events = [found["events"] for found in sites.values() if found.get("events") is not None]
    return f", {sum(events)} deaths" if events else ""


def _sum(sites: dict[str, Any], key: str) -> int:
    return sum(found.get(key) or 0 for found in sites.values())


def _arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    return _path(f"M{x:g} {y:g}L{to_x:g} {to_y:g}")


def _elbow(parent: Box, box: Box) -> str:
    """From the bottom of a box to the top of one below it."""
    start, half = parent.y + parent.height, (parent.y + parent.height + box.y) / 2
    return _path(f"M{parent.middle:g} {start:g}V{half:g}H{box.middle:g}V{box.y:g}")


def _path(line: str) -> str:
    return f'<path d="{line}" fill="none" stroke="{MUTED}" stroke-width="1.2" marker-end="url(#flow-tip)"/>'
