"""Slides with what a model looked at: a picture of the slide under coloured tiles and the drawn lesion."""

import base64
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape
from matplotlib import colormaps
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from simulations.attention.pictures import ShownPatient

__all__ = ["HEAT", "PROTOTYPES", "attention_overview", "data_uri", "plain_overview", "prototype_overview"]

HEAT = "inferno"  # as the hospital's own heatmaps
OPACITY, OPACITY_OF_PROTOTYPES = 0.6, 0.72
PROTOTYPES = ("#2a7f8e", "#c8741c", "#7a5195", "#66864b", "#b0476b", "#3f5a78", "#b07a3c", "#5c86b8")
"""Colours of prototypes, in their order; from the ninth on they come round again."""


def data_uri(jpeg: bytes) -> str:
    """A picture as a reference that needs no file."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def plain_overview(patient: ShownPatient, name: str, alt: str) -> Markup:
    """The slide with the outline of its lesion; the picture inside is `name`, which the other overviews show again."""
    width, height = patient.size
    picture = f'<image id="{escape(name)}" href="{data_uri(patient.jpeg)}" width="{width}" height="{height}"/>'
    return _svg(patient, alt, picture, _outline(patient))


def attention_overview(patient: ShownPatient, name: str, alt: str) -> Markup:
    """The slide with the tiles that the model saw, coloured from no attention to the most, at least twice the mean.

    So attention that is spread evenly looks even.
    """
    colours = [to_hex(colour) for colour in colormaps[HEAT](patient.times / max(2.0, float(patient.times.max())))]
    return _svg(patient, alt, f'<use href="#{escape(name)}"/>', _tiles(patient, colours, OPACITY), _outline(patient))


def prototype_overview(patient: ShownPatient, owners: NDArray[np.int64], name: str, alt: str) -> Markup:
    """The slide with each tile in the colour of the prototype that owns it; a tile of none (-1) stays bare."""
    colours = ["" if owner < 0 else PROTOTYPES[owner % len(PROTOTYPES)] for owner in owners.tolist()]
    return _svg(
        patient,
        alt,
        f'<use href="#{escape(name)}"/>',
        _tiles(patient, colours, OPACITY_OF_PROTOTYPES),
        _outline(patient),
    )


def _tiles(patient: ShownPatient, colours: Sequence[str], opacity: float) -> str:
    side = round(patient.side, 1)
    squares = [
        f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="{colour}"/>'
        for (x, y), colour in zip(patient.corners.tolist(), colours, strict=True)
        if colour
    ]
    return f'<g opacity="{opacity}">{"".join(squares)}</g>'


def _outline(patient: ShownPatient) -> str:
    """The lesion's border: dark on white, so that it is seen on any colour."""
    if patient.lesion is None:
        return ""
    points = " ".join(f"{x:.0f},{y:.0f}" for x, y in patient.lesion)
    width = max(patient.size) / 220
    return "".join(
        f'<polygon points="{points}" fill="none" stroke="{colour}" stroke-width="{factor * width:.1f}"/>'
        for colour, factor in (("#ffffff", 2.2), ("#22303c", 1.0))
    )


def _svg(patient: ShownPatient, alt: str, *layers: str) -> Markup:
    width, height = patient.size
    opening = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(alt)}" class="slide">'
    return Markup(f"{opening}<title>{escape(alt)}</title>{''.join(layers)}</svg>")  # noqa: S704 - numbers, and escaped
