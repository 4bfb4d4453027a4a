"""The registry of architectures: a name leads to one file with an options class and a model.

Adding a model is one file with `ABOUT`, a frozen `Options` and `build(inputs, outputs, options)`, and one line below.
A file may add `faults(setting, options)`, one line for each thing that does not go together, and `PRESETS`, sets of
options by name. The files are imported when they are asked for, so that reading a study costs the import of one model.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType

import torch
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from torch import nn

from shared.documents import contradictions
from shared.errors import StudyError
from shared.models.about import About, Setting
from shared.models.branches import width_of
from shared.models.inputs import Inputs
from shared.study import Study

__all__ = ["ARCHITECTURES", "about", "build_model", "model_faults", "presets", "resolve_options", "size", "skeleton"]

ARCHITECTURES: dict[str, str] = {
    "abmil": "shared.models.abmil",
    "clam_sb": "shared.models.clam_sb",
    "dp_small": "shared.models.dp_small",
    "late": "shared.models.late",
    "linear": "shared.models.linear",
    "mcat": "shared.models.mcat",
    "porpoise": "shared.models.porpoise",
    "s1_crossattn": "shared.models.s1_crossattn",
    "s2_fusion": "shared.models.s2_fusion",
    "snn": "shared.models.snn",
    "survpath": "shared.models.survpath",
    "transmil": "shared.models.transmil",
    "umeml": "shared.models.umeml",
    "yolo": "shared.models.yolo",
}
"""Architecture -> the module that holds it."""


def resolve_options(
    architecture: str, options: Mapping[str, bool | int | float | str]
) -> dict[str, bool | int | float | str]:
    """The options of a study completed with the architecture's defaults.

    `preset = "dp_small"` stands for the options of that name; options written beside it win.

    Raises
    ------
    ValueError
        An unknown architecture, preset or option, a wrong value, a contradiction: one line a fault.
    """
    if architecture not in ARCHITECTURES:
        advice = _advice(architecture, ARCHITECTURES)
        raise ValueError(f"expected a known architecture, got {architecture!r}; {advice}")
    choices, known, faults = _module(architecture).Options, presets(architecture), []
    written = dict(options)
    preset = written.pop("preset", None)
    if preset is not None and preset not in known:
        names = ", ".join(sorted(known)) or "none"
        faults.append(f"expected a preset of {architecture}, got {preset!r}; choose one of: {names}")
    try:
        resolved: dict[str, bool | int | float | str] = choices(**(known.get(str(preset), {}) | written)).model_dump()
    except ValidationError as exc:
        faults += [_line(detail, architecture, choices.model_fields) for detail in exc.errors(include_url=False)]
    contradictions(faults)
    return resolved


def presets(architecture: str) -> dict[str, dict[str, bool | int | float | str]]:
    """The named sets of options of a known architecture."""
    found: dict[str, dict[str, bool | int | float | str]] = getattr(_module(architecture), "PRESETS", {})
    return found


def about(architecture: str) -> About:
    """What a known architecture says of itself."""
    found: About = _module(architecture).ABOUT
    return found


def model_faults(architecture: str, options: Mapping[str, bool | int | float | str], setting: Setting) -> list[str]:
    """What keeps a known architecture with complete options from what a study gives and asks: one line a fault."""
    module = _module(architecture)
    faults = about(architecture).faults(architecture, setting.modalities)
    if hasattr(module, "faults"):
        faults += module.faults(setting, module.Options(**options))
    return faults


def build_model(study: Study) -> nn.Module:
    """The model of a resolved study, with torch's current random state: seeding it is the caller's part.

    Raises
    ------
    StudyError
        The study is not resolved, or its architecture cannot work with its modalities.
    """
    inputs = Inputs.of(study)
    faults = [
        f"modalities.{name}: expected a width above 0, got 0"
        for name in inputs.modalities
        if not width_of(inputs, name)
    ]
    if not study.outputs:
        faults.append("task.classes: expected at least two classes, got none")
    if faults:
        raise StudyError("\n".join(faults) + "; resolve the study before building its model")
    module = _module(study.model.architecture)
    model: nn.Module = module.build(inputs, study.outputs, module.Options(**study.model.options))
    return model


def size(architecture: str, inputs: Inputs, outputs: int, options: Mapping[str, bool | int | float | str]) -> int:
    """The number of parameters of a known architecture, told without making its weights."""
    return sum(parameter.numel() for parameter in skeleton(architecture, inputs, outputs, options).parameters())


def skeleton(
    architecture: str, inputs: Inputs, outputs: int, options: Mapping[str, bool | int | float | str]
) -> nn.Module:
    """A known architecture without weights: on the meta device, where numbers take no room."""
    module = _module(architecture)
    with torch.device("meta"):
        model: nn.Module = module.build(inputs, outputs, module.Options(**resolve_options(architecture, options)))
    return model


def _module(architecture: str) -> ModuleType:
    return import_module(ARCHITECTURES[architecture])


def _line(detail: ErrorDetails, architecture: str, known: Mapping[str, object]) -> str:
    """One fault of the options, as `expected ..., got ...; what to do`."""
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    name = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        return f"expected an option of {architecture}, got {name!r}; {_advice(name, known)}"
    wanted = detail["msg"].removeprefix("Input should be ")
    return f"expected {name} to be {wanted}, got {detail['input']!r}; correct {name}"


def _advice(name: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"write {close[0]!r}" if close else f"choose one of {', '.join(sorted(known))}"
