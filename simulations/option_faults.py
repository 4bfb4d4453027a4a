"""What can be wrong with the options that run.py and ablate.py share, found before any work is done."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.errors import BadInput
from shared.study import Study
from simulations.adapt import override

__all__ = ["option_faults"]


def option_faults(
    study: Study,
    settings: Sequence[str],
    *,
    counts: Mapping[str, int],
    folds: int | None,
    seed: int | None,
    out: Path | None,
) -> list[str]:
    """One sentence for every fault.

    Parameters
    ----------
    study, settings
        The study as written, and what `--set` changes of it.
    counts
        Option -> a number that must be at least 1.
    folds
        Folds to run, None = all.
    seed
        None = the study's.
    out
        The folder to write into, None = a new one.
    """
    counts = counts if folds is None else {**counts, "--folds": folds}
    faults = [f"{name}: expected at least 1, got {number}; correct it" for name, number in counts.items() if number < 1]
    if seed is not None and seed < 0:
        faults.append(f"--seed: expected 0 or more, or -1 for the study's, got {seed}; correct it")
    if out is not None:
        there = next(path for path in (out, *out.absolute().parents) if path.exists())
        if not there.is_dir():
            faults.append(f"--out: expected a folder, got the file {there}; name another")
    try:
        protocol = override(study, settings).split.protocol
    except BadInput as exc:
        return [*faults, str(exc)]
    if folds is not None and folds >= 1 and protocol == "holdout":
        faults.append(
            "--folds: expected --protocol patient-kfold, preserved-site-kfold or leave-one-site-out beside it, got "
            "holdout, which has one fold; leave it out or change the protocol"
        )
    return faults
