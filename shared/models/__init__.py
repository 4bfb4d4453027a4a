"""The registry of architectures: a name leads to one file with an options class and a model.

Adding a model is one file with a frozen `Options` and `build(inputs, outputs, options)`, and one line below. The
files are imported when they are asked for, so that reading a study costs the import of one model.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from torch import nn

from shared.documents import contradictions
from shared.errors import StudyError
from shared.models.branches import width_of
from shared.models.inputs import Inputs
from shared.study import Study

__all__ = ["ARCHITECTURES", "build_model", "resolve_options"]

ARCHITECTURES: dict[str, str] = {
    "abmil": "shared.models.abmil",
    "linear": "shared.models.linear",
    "s1_crossattn": "shared.models.s1_crossattn",
}
"""Architecture -> the module that holds it."""


def resolve_options(
    architecture: str, options: Mapping[str, bool | int | float | str]
) -> dict[str, bool | int | float | str]:
    """The options of a study completed with the architecture's defaults.

    Raises
    ------
    ValueError
        An unknown architecture or option, a wrong value, a contradiction: one line a fault.
    """
    if architecture not in ARCHITECTURES:
        advice = _advice(architecture, ARCHITECTURES)
        raise ValueError(f"expected a known architecture, got {architecture!r}; {advice}")
    choices = _module(architecture).Options
    try:
        resolved: dict[str, bool | int | float | str] = choices(**options).model_dump()
    except ValidationError as exc:
        known = choices.model_fields
        contradictions([_line(detail, architecture, known) for detail in exc.errors(include_url=False)])
        raise
    return resolved


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
