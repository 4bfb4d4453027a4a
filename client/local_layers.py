"""The layers a site keeps its own of: with `fedbn` those of normalisation, with `fedper` the heads.

BatchNorm's running statistics are always among them. They are averaged like all else, for hospitals that never trained,
but a site scores and trains with its own ones (Li et al. 2021, FedBN; Arivazhagan et al. 2019, FedPer).
"""

from collections.abc import Collection
from pathlib import Path

from torch import nn

from client.local_state import read_local, write_local
from shared.weights import load_arrays, local_names, take_arrays

__all__ = ["LAYERS", "keep_own", "take_up_own"]

LAYERS = "layers"  # their name in client/local_state.py


def take_up_own(model: nn.Module, folder: Path, round_: int, strategy: str) -> None:
    """Overwrite the received layers by those that the latest round before `round_` left here, if there are any.

    Parameters
    ----------
    folder
        `own_folder(site, digest)`, or what the run names.
    round_
        The round about to start; rounds + 1 for the final model.
    """
    if local_names(model, strategy):
        load_arrays(model, read_local(folder, LAYERS, round_))


def keep_own(model: nn.Module, folder: Path, round_: int, strategy: str, held: Collection[str] | None = None) -> None:
    """Keep the trained layers of `round_`: those of the `held` branches, and always `fusion`."""
    names = local_names(model, strategy)
    if names:
        own = {name: array for name, array in take_arrays(model, held).items() if name in names}
        write_local(folder, LAYERS, round_, own)
