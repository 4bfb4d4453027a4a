"""What a site keeps of its own from round to round."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from client.local_layers import keep_own, take_up_own
from client.local_state import read_local, read_round, write_local
from shared.weights import Arrays, local_names


def model(value: float) -> nn.Module:
    """A slide branch and a head, each with a normalisation layer; every number is `value`."""
    net = nn.ModuleDict(
        {
            "branches": nn.ModuleDict({"slides": nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))}),
            "head": nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.GroupNorm(1, 2)),
        }
    )
    with torch.no_grad():
        for tensor in [*net.parameters(), *(b for b in net.buffers() if b.dtype == torch.float32)]:
            tensor.fill_(value)
    return net


def changed(net: nn.Module, value: float) -> set[str]:
    """The names whose numbers are not `value`."""
    return {name for name, tensor in net.state_dict().items() if tensor.dim() and not bool((tensor == value).all())}


RUNNING = {"head.1.running_mean", "head.1.running_var"}
LAYERS = {f"{layer}.{kind}" for layer in ("branches.slides.1", "head.1", "head.2") for kind in ("weight", "bias")}
HEAD = {f"head.{layer}.{kind}" for layer in range(3) for kind in ("weight", "bias")}


def values(value: float) -> Arrays:
    return {"w": np.full(2, value, np.float32)}


@pytest.mark.parametrize(
    ("strategy", "own"), [("fedavg", RUNNING), ("fedbn", RUNNING | LAYERS), ("fedper", RUNNING | HEAD)]
)
def test_a_site_takes_up_its_own_layers_and_nothing_else(tmp_path: Path, strategy: str, own: set[str]) -> None:
    assert local_names(model(0), strategy) == own
    keep_own(model(7.0), tmp_path, 1, strategy)
    received = model(1.0)
    take_up_own(received, tmp_path, 1, strategy)
    assert changed(received, 1.0) == set()  # round 1 has no round before it
    take_up_own(received, tmp_path, 2, strategy)
    assert changed(received, 1.0) == own
    assert changed(received, 7.0) & own == set()


def test_only_held_branches_are_kept(tmp_path: Path) -> None:
    keep_own(model(7.0), tmp_path, 1, "fedbn", ())
    assert set(read_local(tmp_path, "layers", 2)) == RUNNING | {name for name in LAYERS if name.startswith("head")}


def test_a_model_without_such_layers_leaves_nothing(tmp_path: Path) -> None:
    keep_own(nn.Linear(2, 2), tmp_path / "own", 1, "fedbn")
    assert not (tmp_path / "own").exists()


def test_a_repeated_round_reads_what_the_round_before_left(tmp_path: Path) -> None:
    for round_ in (1, 2, 3, 3):
        write_local(tmp_path, "x", round_, values(round_))
        assert float(read_local(tmp_path, "x", round_).get("w", np.zeros(1))[0]) == round_ - 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x-2.safetensors", "x-3.safetensors"]
    assert read_round(tmp_path, "x", 1) is None


def test_a_fresh_run_drops_what_an_older_one_left(tmp_path: Path) -> None:
    for round_ in (8, 9):
        write_local(tmp_path, "x", round_, values(round_))
    write_local(tmp_path, "y", 9, values(9))
    assert read_local(tmp_path, "x", 1) == {}
    write_local(tmp_path, "x", 1, values(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x-1.safetensors", "y-9.safetensors"]
