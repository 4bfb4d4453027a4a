"""What can be trained: every architecture with its inputs, size and source, as a table for people."""

from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from shared.cohort import MODALITIES
from shared.cohort.genes import packaged_panel, vocabulary
from shared.errors import BadInput
from shared.models import ARCHITECTURES, about, presets, size
from shared.models.about import About
from shared.models.inputs import Inputs

__all__ = ["Architecture", "architecture_table", "list_architectures", "standard_inputs"]

FEATURES, MAX_PATCHES, OUTPUTS = 1024, 200, 4
STANDARD = ("slides", "expression")
PRESET = "dp_small"


@dataclass(frozen=True)
class Architecture:
    """One architecture; sizes are parameters at `standard_inputs`, None where they cannot be told."""

    name: str
    about: About
    parameters: int | None
    small: int | None  # with the preset for private training


def standard_inputs(about: About) -> Inputs:
    """Slides of 1,024 features and the groups of the packaged panel, as far as taken; else what the model needs."""
    use = tuple(name for name in STANDARD if name in about.takes) or about.needs
    panel = packaged_panel() if "expression" in use else {}
    genes = vocabulary(panel)
    return Inputs(
        modalities=use,
        slides=FEATURES if "slides" in use else 0,
        max_patches=MAX_PATCHES,
        genes=len(genes),
        groups=tuple(tuple(sorted(genes.index(gene) for gene in group)) for _, group in sorted(panel.items())),
        imaging=FEATURES + 1 if "imaging" in use else 0,
    )


def list_architectures() -> list[Architecture]:
    """Every architecture, by name."""
    found = []
    for name in sorted(ARCHITECTURES):
        known = about(name)
        small = _size(name, known, {"preset": PRESET}) if PRESET in presets(name) else None
        found.append(Architecture(name, known, _size(name, known, {}), small))
    return found


def architecture_table(architectures: list[Architecture]) -> Table:
    """The table that `mmfed-server models` prints."""
    table = Table(box=None, pad_edge=False, title="Architectures", title_justify="left", title_style="bold")
    table.caption = (
        f"parameters: with {FEATURES:,} features a patch and the gene groups of the packaged panel where the model "
        f'takes them, {OUTPUTS} outputs; small: with model.preset = "{PRESET}"'
    )
    table.caption_justify = "left"
    for heading in ("model", "takes", "needs"):
        table.add_column(heading, no_wrap=heading == "model")
    for heading in ("parameters", "small"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("what it is", min_width=20)
    table.add_column("after", min_width=16)
    for one in architectures:
        takes = "any" if one.about.takes == MODALITIES else ", ".join(one.about.takes)
        needs = ", ".join(one.about.needs) or "-"
        words = (one.name, takes, needs, _number(one.parameters), _number(one.small))
        table.add_row(*map(escape, (*words, one.about.summary, one.about.reference)))
    return table


def _size(name: str, known: About, options: dict[str, bool | int | float | str]) -> int | None:
    try:
        return size(name, standard_inputs(known), OUTPUTS, options)
    except BadInput:  # a package that only this model wants is not installed
        return None


def _number(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"
