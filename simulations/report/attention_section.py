"""What the report says of attention: its check, its pictures, and the words beside them."""

from typing import Any

import numpy as np
from markupsafe import Markup

from simulations.attention.pictures import Pictures, ShownPatient, ShownTile
from simulations.report.attention_figures import (
    lesion_auc_figure,
    lesion_mean_figure,
    lesion_share_figure,
    weights_figure,
)
from simulations.report.slide_figures import (
    PROTOTYPES,
    attention_overview,
    data_uri,
    plain_overview,
    prototype_overview,
)
from simulations.report.words import number, spread

__all__ = ["attention_section"]


def attention_section(metrics: dict[str, Any], task: dict[str, Any], pictures: Pictures | None) -> dict[str, Any]:
    """The template's `attention`; {} for a model without weights."""
    found = metrics.get("attention") or {}
    if not found and pictures is None:
        return {}
    arm, lesion = str(found.get("arm", "federated")), found.get("lesion")
    classes = list(task.get("classes") or [])
    figures = [] if lesion is None else [("Lesion in the tiles, patient by patient", lesion_share_figure(lesion, arm))]
    if lesion is not None:
        figures.append(("Lesion in the tiles, mean over patients", lesion_mean_figure(lesion, arm)))
        told = lesion_auc_figure(lesion, arm)
        figures += [] if told is None else [("AUC, tiles in the lesion against tiles outside", told)]
    return {
        "verdict": ("", "") if lesion is None else _verdict(lesion),
        "lesion": figures,
        "cards": [] if pictures is None else [_card(p, i, classes) for i, p in enumerate(pictures.patients)],
        "generated": pictures is not None and pictures.generated,
        "outlined": pictures is not None and any(patient.lesion is not None for patient in pictures.patients),
        "prototypes": _prototypes(found.get("prototypes"), pictures, classes),
        "parts": [
            (title, weights_figure(f"weights-{name}", f"{title}, mean weight", found[name]))
            for name, title in (("groups", "Gene groups"), ("modalities", "Modalities"))
            if name in found
        ],
    }


def _verdict(lesion: dict[str, Any]) -> tuple[str, str]:
    """Whether attention lies on the drawn lesion, in a title and in figures.

    It does when the intervals of AUC and share leave out chance, and it was learned when that of the gain over the
    untrained network leaves out 0.
    """
    auc, difference, gain = lesion["auc"], lesion["difference"], lesion["gain"]
    count, before = f"{lesion['attended']['n']} test patients, {lesion['tiles']:g} tiles each", lesion["untrained"]
    if auc["value"] is None:
        return "Nothing can be said", f"All tiles of each of the {count}, lie on one side of the lesion's border."
    shares = [f"{found['attended']['value']:.0%}" for found in (lesion, before)]
    text = (
        f"On the slides of {count}, lesion fills {lesion['everywhere']['value']:.0%} of the tiles and {shares[0]} of "
    )
    text += (
        f"what attention sees, {number(difference['value'])} more ({spread(difference)}); before training {shares[1]}"
    )
    text += f", a gain of {number(gain['value'])} ({spread(gain)}). A tile in the lesion has more attention than one "
    text += f"outside with probability {number(auc['value'])} ({spread(auc)}; chance .5"
    text += "" if before["auc"]["value"] is None else f", before training {number(before['auc']['value'])}"
    there, learned = auc["low"] > 0.5 and difference["low"] > 0, gain["low"] > 0
    title = "The model learned to look at the lesion" if there and learned else "The model does not look at the lesion"
    title = "Attention lies on the lesion, but no more than before training" if there and not learned else title
    return title, text + ")."


def _card(patient: ShownPatient, number_: int, classes: list[str]) -> dict[str, Any]:
    title = _title(patient, classes)
    name = f"slide-{number_}"
    drawn = "" if patient.lesion is None else " with the outline of the drawn lesion"
    return {
        "title": title,
        "said": _said(patient, classes),
        "plain": plain_overview(patient, name, f"{title}: the slide{drawn}."),
        "heat": attention_overview(patient, name, f"{title}: attention over {len(patient.times)} tiles{drawn}."),
        "rows": [("Most attention", _tiles(patient.most)), ("Least attention", _tiles(patient.least))],
    }


def _tiles(tiles: tuple[ShownTile, ...]) -> list[tuple[str, str]]:
    return [(data_uri(tile.jpeg), f"× {tile.times:.2f}") for tile in tiles]


def _title(patient: ShownPatient, classes: list[str]) -> str:
    return f"{classes[patient.kind]}, hospital {patient.site}" if classes else f"Hospital {patient.site}"


def _said(patient: ShownPatient, classes: list[str]) -> str:
    """What the model said of the patient."""
    if not classes:
        return f"predicted survival beyond each time bin: {', '.join(f'{share:.0%}' for share in patient.scores)}"
    best = int(np.argmax(patient.scores))
    return f"predicted {classes[best]}, {patient.scores[best]:.0%}"


def _prototypes(found: dict[str, Any] | None, pictures: Pictures | None, classes: list[str]) -> dict[str, Any]:
    """Legend and maps of the prototypes; {} for a model without them."""
    if not found:
        return {}
    legend = []
    for i, (share, lesion) in enumerate(zip(found["tiles"], found["lesion"], strict=True)):
        words = f"{i + 1}: {share:.0%} of tiles" + ("" if lesion is None else f", {lesion:.0%} of their area lesion")
        legend.append((PROTOTYPES[i % len(PROTOTYPES)], words))
    maps: list[tuple[str, Markup]] = []
    for i, patient in enumerate(() if pictures is None else pictures.patients):
        if patient.prototypes is not None:
            title = _title(patient, classes)
            alt = f"{title}: each tile in the colour of its prototype."
            maps.append((title, prototype_overview(patient, patient.prototypes, f"slide-{i}", alt)))
    return {"legend": legend, "maps": maps, "n": found["n"]}
