"""What can be wrong with the options that run.py and ablate.py share, found before any work is done."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from shared.errors import BadInput
from shared.study import Study
from simulations.adapt import override

__all__ = ["option_faults", "override_as_typed"]


def option_faults(
    study: Study,
    settings: Sequence[str],
    *,
    counts: Mapping[str, int],
    folds: int | None,
    seed: int | None,
    out: Path | None,
    typed: Mapping[str, str] | None = None,
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
    typed
        As in `override_as_typed`.
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
        protocol = override_as_typed(study, settings, typed or {}).split.protocol
    except BadInput as exc:
        return [*faults, str(exc)]
    if folds is not None and folds >= 1 and protocol == "holdout":
        faults.append(
            "--folds: expected --protocol patient-kfold, preserved-site-kfold or leave-one-site-out beside it, got "
            "holdout, which has one fold; leave it out or change the protocol"
        )
    return faults


def override_as_typed(study: Study, settings: Sequence[str], typed: Mapping[str, str]) -> Study:
    """`override`, whose faults name the option that was typed.

    Parameters
    ----------
    typed
        How a fault begins, e.g. with the study field -> the option that set it; all others came by `--set`.
    """
    try:
        return override(study, settings)
    except BadInput as exc:
        raise type(exc)("\n".join(_as_typed(str(exc), typed))) from exc


def _as_typed(message: str, typed: Mapping[str, str]) -> list[str]:
    _, *faults = message.splitlines()
    told, rest = [], []
    for fault in map(str.strip, faults):
        start = next((start for start in typed if fault.startswith(start)), None)
        if start is None:
            rest.append(f"  {fault}")
        else:
            told.append(f"{typed[start]}: {_hinted(fault.removeprefix(f'{start}: '))}")
    if not told:
        return [message]
    return [*told, *([f"--set: {len(rest)} fault{'s' if len(rest) > 1 else ''}", *rest] if rest else [])]


def _hinted(fault: str) -> str:
    """The fault, with the nearest word that it says was expected."""
    expected, _, got = fault.partition(", got ")
    close = get_close_matches(got.partition(";")[0].strip("\"'"), re.findall(r"'([^']+)'", expected), n=1)
    return fault.replace("correct the value", f"write {close[0]}") if close else fault
