from collections.abc import Sequence

import numpy as np
import pytest

from simulations.attention.parts import mean_weights, prototype_use
from simulations.attention.patients import AttendedPatient


def patient(kind: int, groups: Sequence[float] | None = None, prototypes: object = None) -> AttendedPatient:
    weights = {} if groups is None else {"groups": np.array(groups)}
    owners = None if prototypes is None else np.array(prototypes, dtype=float)
    return AttendedPatient("A", kind, np.array([1.0]), np.zeros(0), (), weights, owners)


def test_weights_are_averaged_by_class_over_those_who_have_the_modality() -> None:
    patients = [patient(0, [0.2, 0.8]), patient(0, [0.4, 0.6]), patient(1, [0.9, 0.1]), patient(1, [0.0, 0.0])]
    found = mean_weights(patients, "groups", ("a", "b"), ("low", "high"))
    assert found == {
        "names": ["a", "b"],
        "kinds": {"low": {"n": 2, "mean": pytest.approx([0.3, 0.7])}, "high": {"n": 1, "mean": [0.9, 0.1]}},
    }


def test_a_class_without_patients_has_no_mean() -> None:
    found = mean_weights([patient(1, [0.5, 0.5])], "groups", ("a", "b"), ("low", "high"))
    assert found is not None
    assert list(found["kinds"]) == ["high"]


def test_a_model_without_such_weights_gives_none() -> None:
    assert mean_weights([patient(0)], "groups", ("a",), ("low",)) is None
    assert prototype_use([patient(0)]) is None


def test_a_tile_belongs_to_its_strongest_prototype_or_to_none() -> None:
    tiles = [[0.9, 0.2, 0.0, 0.4], [0.1, 0.8, 0.0, 0.3]]  # of 4 tiles: prototype 0, 1, none, 0
    assert prototype_use([patient(0, prototypes=tiles)]) == {"n": 1, "tiles": [0.5, 0.25], "lesion": [None, None]}
