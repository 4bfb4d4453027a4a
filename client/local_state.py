"""Arrays that a site keeps of its own from one round to the next: normalisation layers, control variates.

They lie in a folder of the study's, as <name>-<round>.safetensors. A round reads what an earlier round wrote, never
what it wrote itself, so that a round that is repeated gives the same bits. A run greets a site before its first round
there and not again, so the handshake drops what it finds, which is of an older run (client/app.py). The layers that a
finished model was trained with are kept beside that model (client/received_models.py).
"""

import re
from pathlib import Path

from safetensors.numpy import load_file, save_file

from shared.cohort.drafts import replacing
from shared.site import Site
from shared.weights import Arrays

__all__ = ["drop_local", "own_folder", "read_local", "read_round", "write_local"]

KEPT = 2  # rounds: the last one may be repeated


def own_folder(site: Site, digest: str) -> Path:
    """Where a site keeps its own arrays of a study; a simulation keeps them in its run folder instead."""
    return site.state / "rounds" / digest[:12]


def read_local(folder: Path, name: str, round_: int) -> Arrays:
    """What the latest round before `round_` left under `name`; empty when there is none."""
    earlier = [number for number in _rounds(folder, name) if number < round_]
    return dict(load_file(_path(folder, name, max(earlier)))) if earlier else {}


def read_round(folder: Path, name: str, round_: int) -> Arrays | None:
    """What `round_` itself left under `name`; None when it is not there."""
    path = _path(folder, name, round_)
    return dict(load_file(path)) if path.is_file() else None


def write_local(folder: Path, name: str, round_: int, arrays: Arrays, *, since: int | None = None) -> None:
    """Keep `arrays` as those of `round_`; what later rounds of an older run left is dropped.

    Parameters
    ----------
    since
        The earliest round that may still be read; without it the last KEPT rounds are kept.
    """
    path = _path(folder, name, round_)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        save_file({key: array.copy() for key, array in arrays.items()}, draft)
    earlier = sorted(number for number in _rounds(folder, name) if number <= round_)
    first = round_ if round_ == 1 else earlier[-KEPT:][0] if since is None else since
    for number in _rounds(folder, name):
        if not first <= number <= round_:
            _path(folder, name, number).unlink(missing_ok=True)


def drop_local(folder: Path, name: str = "*") -> None:
    """Delete what all rounds left under `name`, or under any name."""
    for path in folder.glob(f"{name}-*.safetensors"):
        path.unlink(missing_ok=True)


def _path(folder: Path, name: str, round_: int) -> Path:
    return folder / f"{name}-{round_}.safetensors"


def _rounds(folder: Path, name: str) -> list[int]:
    """The rounds of which something is kept."""
    pattern = re.compile(rf"{re.escape(name)}-(\d+)\.safetensors")
    found = (pattern.fullmatch(path.name) for path in folder.glob(f"{name}-*.safetensors"))
    return [int(match.group(1)) for match in found if match]
