"""What every fold leaves out: its hospitals, their patients, and what a fold lacks."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from shared.study import ClassificationTask, Study
from simulations.fold import Fold

__all__ = ["balance_notes", "left_out"]


def left_out(study: Study, folds: Sequence[Fold]) -> list[dict[str, Any]]:
    """`unseen` of the section `protocol`: the hospitals that every fold leaves out; [] where all leave out the same."""
    if study.split.protocol not in ("leave-one-site-out", "preserved-site-kfold"):
        return []
    return [
        {"sites": _out(fold), "patients": sum(counts.values()), "classes": counts}
        for fold in folds
        for counts in [_counts(study, fold)]
    ]


def balance_notes(study: Study, folds: Sequence[Fold]) -> list[str]:
    """A sentence for every class (or for deaths) that some folds of preserved-site-kfold lack."""
    if study.split.protocol != "preserved-site-kfold":
        return []
    notes, every = [], [_counts(study, fold) for fold in folds]
    for name in every[0]:
        lacking = [str(number + 1) for number, counts in enumerate(every) if not counts[name]]
        if lacking:
            hospitals = len({site for fold in folds for site in _out(fold) if _has(study, fold, site, name)})
            where = f"{hospitals} hospital has" if hospitals == 1 else f"{hospitals} hospitals have"
            notes.append(
                f"No fold could be balanced for {name}: only {where} such patients, and "
                f"{'fold' if len(lacking) == 1 else 'folds'} {', '.join(lacking)} of {len(folds)} "
                f"{'has' if len(lacking) == 1 else 'have'} none; fewer --folds would leave fewer without."
            )
    return notes


def _out(fold: Fold) -> list[str]:
    return sorted(set(fold.sites) - set(fold.training))


def _counts(study: Study, fold: Fold) -> Counter[str]:
    """Patients of the hospitals left out by class, or by deaths and survivors, zeros included."""
    names = _names(study)
    found = Counter(dict.fromkeys(names, 0))
    for site in _out(fold):
        found.update(names[int(stratum)] for stratum in fold.sites[site].strata)
    return found


def _has(study: Study, fold: Fold, site: str, name: str) -> bool:
    return _names(study).index(name) in fold.sites[site].strata


def _names(study: Study) -> tuple[str, ...]:
    return study.task.classes if isinstance(study.task, ClassificationTask) else ("survivors", "deaths")
