"""What asking for privacy changes in a study that does not say otherwise."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

__all__ = ["MAX_PATCHES", "PRESET", "private_defaults", "switches"]

PRESET = "dp_small"
MAX_PATCHES = 512


def private_defaults(content: Mapping[str, Any]) -> dict[str, Any]:
    """The study as written, with `normalise = "rank"`, the preset `dp_small` and a split by patient where left open.

    Gene sums over patients would be a release of their own, noise is added to every parameter, and a split by stratum
    lets one patient decide whether another trains.
    """
    filled = deepcopy(dict(content))
    privacy, model, use = (filled.get(name) for name in ("privacy", "model", "modalities"))
    if not isinstance(privacy, dict) or privacy.get("mode", "off") == "off":
        return filled
    if isinstance(use, dict) and isinstance(use.get("expression"), dict):
        use["expression"].setdefault("normalise", "rank")
    if isinstance(model, dict) and set(model) == {"architecture"} and _has_preset(model["architecture"]):
        model["preset"] = PRESET
    if isinstance(split := filled.setdefault("split", {}), dict):
        split.setdefault("by", "patient")
    return filled


def switches(content: Mapping[str, Any]) -> list[str]:
    """The `--set` lines by which a simulation that is given an epsilon makes a complete study private-friendly."""
    lines = ['split.by="patient"']
    use, model = content["modalities"], content["model"]
    if use.get("expression"):
        lines.append('modalities.expression.normalise="rank"')
    if use.get("slides") and use["slides"]["max_patches"] > MAX_PATCHES:
        lines.append(f"modalities.slides.max_patches={MAX_PATCHES}")
    if _has_preset(model["architecture"]):
        lines.append(f'model.preset="{PRESET}"')
    return lines


def _has_preset(architecture: object) -> bool:
    from shared.models import ARCHITECTURES, presets  # imports torch

    return architecture in ARCHITECTURES and PRESET in presets(str(architecture))
