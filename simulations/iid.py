"""The control of a federation: the same hospitals, of the same sizes, but with patients dealt to them at random.

What a federation loses to pooled data it loses for two reasons: patients are many sites' and sites differ. Among dealt
hospitals only the first is left. Usable patients of the hospitals that train are dealt; all others stay where they
are, so that unseen patients are those of every other arm.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from shared.cohort.tables import read_clinical
from shared.study import Study
from simulations.fold import Fold, load_sites, split_anew
from simulations.hospitals import Hospital, write_hospitals
from simulations.ready import Progress, Ready, prepare_hospitals

__all__ = ["IID", "dealt_folds"]

IID = "iid"
"""The arm: federated, over dealt hospitals."""


def dealt_folds(
    ready: Ready, folds: Sequence[Fold], study: Study, cache: Path, progress: Progress
) -> tuple[list[Hospital], list[Fold]]:
    """Hospitals of the same ids and sizes as those that train in `folds`, prepared, and the same folds of them.

    Parameters
    ----------
    folds
        Those of the repeat, whose training sites are dealt anew.
    study
        That of the repeat: its seed decides who comes where.
    """
    site_of = {
        case: hospital.id for hospital in ready.everyone for case in read_clinical(hospital.folder / "data")["case_id"]
    }
    members = {site: fold.sites[site].patients.case_id.tolist() for fold in folds for site in fold.training}
    places = [site for site in sorted(members) for _ in members[site]]
    cases = sorted((case for part in members.values() for case in part), key=lambda case: _place(study.seed, case))
    dealt = site_of | dict(zip(cases, places, strict=True))
    hospitals = prepare_hospitals(write_hospitals(ready.cohort, dealt, cache / "hospitals"), study, progress)
    sites, _ = load_sites(hospitals, study)
    parts = []
    for fold in folds:
        used = {name: data for name, data in sites.items() if name in fold.sites}
        parts.append(Fold(fold.study, split_anew(used, fold.study), fold.training))
    return hospitals, parts


def _place(seed: int, case: str) -> bytes:
    return hashlib.sha256(f"{seed}|dealt|{case}".encode()).digest()
