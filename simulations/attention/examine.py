"""All that a report says about what the federated model looked at."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from shared.study import ClassificationTask
from shared.weights import new_model
from simulations.arms import Trained, restored
from simulations.attention.lesion_check import check_lesions
from simulations.attention.parts import mean_weights, prototype_use
from simulations.attention.patients import AttendedPatient, attended_patients
from simulations.attention.pictures import Pictures, draw_pictures, patients_to_show
from simulations.fold import Fold
from simulations.hospitals import Hospital
from simulations.ready import Ready

__all__ = ["examine"]


def examine(fold: Fold, trained: Trained, ready: Ready) -> tuple[dict[str, Any], Pictures | None]:
    """The `attention` part of metrics.json, and the pictures, from the own test patients of one fold.

    The part is {} for a model that gives no weights. `lesion` holds them against the lesions drawn on mmfed's own
    slides, beside the same network before its training; a real cohort has no `lesion`.
    """
    modules = {name: restored(fold.study, model) for name, model in trained.models.items()}
    patients = _attended(fold, trained, ready.hospitals, modules)
    study = fold.study
    kinds = study.task.classes if isinstance(study.task, ClassificationTask) else ("all patients",)
    groups = sorted(study.modalities.expression.groups) if study.modalities.expression else []
    found: dict[str, Any] = {
        "groups": mean_weights(patients, "groups", groups, kinds),
        "modalities": mean_weights(patients, "modalities", study.modalities.names, kinds),
        "prototypes": prototype_use(patients),
        "lesion": None,
    }
    if ready.synthetic and any(len(patient.tiles) for patient in patients):
        first = dict.fromkeys(modules, new_model(study))
        found["lesion"] = check_lesions(patients, _attended(fold, trained, ready.hospitals, first))
    pictures = draw_pictures(patients_to_show(patients, len(kinds)), ready.synthetic)
    return {name: part for name, part in found.items() if part is not None}, pictures


def _attended(
    fold: Fold, trained: Trained, hospitals: Sequence[Hospital], modules: dict[str, nn.Module]
) -> list[AttendedPatient]:
    """The own test patients of all training hospitals, each through the model that scores them."""
    found: list[AttendedPatient] = []
    for hospital in hospitals:
        if hospital.id in fold.training:
            name = hospital.id if hospital.id in trained.models else ""
            patients = fold.test(hospital.id, trained.models[name].statistics)
            found += attended_patients(modules[name], patients, fold.study, hospital)
    return found
