"""Which weights travel, and where they start."""

import numpy as np
import torch

from shared.weights import load_arrays, new_model, take_arrays, trainable
from tests.federation import tiny_study

S1 = {"architecture": "s1_crossattn", "dim": 8, "heads": 2}


def test_initial_weights_derive_from_the_digest_alone() -> None:
    study = tiny_study(model=S1)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = take_arrays(new_model(study))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = take_arrays(new_model(study))
    other = take_arrays(new_model(tiny_study(model=S1, training={"rounds": 9})))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_only_held_branches_and_fusion_travel() -> None:
    model = new_model(tiny_study())
    assert set(trainable(model)) == {
        *("branches.expression.genes.weight", "branches.clinical.clinical.weight", "intercept.weight"),
    }
    assert set(trainable(model, ["clinical"])) == {"branches.clinical.clinical.weight", "intercept.weight"}
    assert set(trainable(model, [])) == {"intercept.weight"}


def test_arrays_go_in_and_come_out() -> None:
    model = new_model(tiny_study())
    arrays = {name: np.full_like(array, 2.0) for name, array in take_arrays(model).items()}
    load_arrays(model, arrays)
    assert all((array == 2.0).all() for array in take_arrays(model).values())
    load_arrays(model, {"intercept.weight": np.zeros_like(arrays["intercept.weight"])})
    assert take_arrays(model)["intercept.weight"].sum() == 0
    assert (take_arrays(model)["branches.clinical.clinical.weight"] == 2.0).all()
