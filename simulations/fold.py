"""One split of a cohort into training, own test and unseen patients: what every arm is given alike."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.load import SitePatients, load_patients
from shared.cohort.normalise import GeneStatistics
from shared.cohort.patients import Patients
from shared.cohort.splits import split_patients
from shared.cohort.store import FeatureStore
from shared.errors import CohortError, Refused, StudyError
from shared.seeds import derive_seed
from shared.site import read_site
from shared.study import Study
from shared.tasks import task_of
from simulations.hospitals import Hospital
from simulations.preserved_sites import assign_sites

__all__ = ["Fold", "load_sites", "make_folds", "preserved_folds", "split_anew"]


@dataclass(frozen=True)
class Fold:
    """Sites in `training` train and test on their own patients; everybody else is unseen.

    Patients train and are scored with every modality and every head's label that they have. In the message path a
    modality or a further head with fewer than `min_patients` training patients at a site counts as absent there. The
    pooled and the local arm have no such rule, since it is one about what leaves a site: nothing leaves a site that
    trains alone, and pooled data would all have left. What the rule costs is part of what federating costs.
    """

    study: Study
    sites: Mapping[str, SitePatients]
    training: tuple[str, ...]

    @cached_property
    def statistics(self) -> GeneStatistics | None:
        """Gene statistics of all training patients of all training sites, as a federation would agree on them."""
        expression = self.study.modalities.expression
        if expression is None or expression.normalise != "federated":
            return None
        parts = [self.sites[site].sums(self.sites[site].min_patients) for site in self.training]
        return GeneStatistics.merge(parts, parts[0].shape[1])

    def own_statistics(self, site: str) -> GeneStatistics | None:
        """Gene statistics of one site's training patients: all that a local model can know."""
        sums = self.sites[site].train_sums
        return GeneStatistics.merge([sums], sums.shape[1]) if sums.shape[1] else None

    @property
    def withheld(self) -> list[str]:
        """`part at site`: what only the federated arm does without, since a few training patients have it."""
        found = []
        for site in self.training:
            train = self.sites[site].patients.take(~self.sites[site].test)
            labels = (train.further_y >= 0).sum(axis=0).tolist()
            counts = {name: train.count(name) for name in self.study.modalities.names}
            counts |= {f"head {head.name}": count for head, count in zip(self.study.heads, labels, strict=True)}
            found += [f"{name} at {site}" for name, n in counts.items() if 0 < n < self.sites[site].min_patients]
        return found

    def train(self, site: str, statistics: GeneStatistics | None) -> Patients:
        """Training patients of a site, genes on the scale of `statistics`."""
        data = self.sites[site]
        return data.normalised(self.study, statistics).take(~data.test)

    def test(self, site: str, statistics: GeneStatistics | None) -> Patients:
        """Own test patients of a training site."""
        data = self.sites[site]
        return data.normalised(self.study, statistics).take(data.test)

    def unseen(self, statistics: GeneStatistics | None) -> Patients | None:
        """All patients of sites that never train; None when there is none."""
        parts = [d.normalised(self.study, statistics) for s, d in sorted(self.sites.items()) if s not in self.training]
        return Patients.concatenate(parts) if parts else None


def load_sites(hospitals: Sequence[Hospital], study: Study) -> tuple[dict[str, SitePatients], Counter[str]]:
    """Every hospital's usable patients, and reason -> patients left out of the task."""
    sites: dict[str, SitePatients] = {}
    excluded: Counter[str] = Counter()
    for hospital in hospitals:
        site = read_site(hospital.site_file)
        store = FeatureStore.open(store_folder(site, PrepareSettings.of(study)))
        try:
            found = load_patients(store, study, site.expression.scale)
            sites[hospital.id] = replace(found, min_patients=site.disclosure.min_patients)
        except Refused as exc:
            if exc.code != "NO_PATIENTS":
                raise
            reasons = task_of(study.task).labels(store.patients).reason
            excluded.update(reason or "none of the study's modalities" for reason in reasons)
            continue
        excluded.update(sites[hospital.id].excluded)
    return sites, excluded


def make_folds(hospitals: Sequence[Hospital], study: Study, least: int, folds: int | None) -> list[Fold]:
    """The folds of one repeat.

    Parameters
    ----------
    hospitals, study
        Prepared hospitals, and the study of this repeat.
    least
        Sites with fewer usable patients never train, nor do those that their own `min_patients` keeps out.
    folds
        With `leave-one-site-out`, at most this many of the largest sites are left out in turn; None = all.

    Raises
    ------
    CohortError
        Fewer training sites than the study's quorum, or than the protocol needs.
    StudyError
        The study keeps no test patients.
    """
    split = study.split
    if not split.test_fraction:
        raise StudyError("split.test_fraction: expected more than 0, got 0.0; write e.g. 0.3")
    sites, _ = load_sites(hospitals, study)
    large = tuple(sorted(site for site, data in sites.items() if _trains(data, least)))
    _refuse_few(len(large), study.federation.quorum + (split.protocol == "leave-one-site-out"), sites, least)
    if split.protocol == "holdout":
        return [Fold(study, sites, large)]
    if split.protocol == "patient-kfold":
        parts = [_of_fold(study, number) for number in range(split.folds)]
        return [Fold(part, split_anew(sites, part), large) for part in parts]
    if split.protocol == "leave-one-site-out":
        left_out: list[tuple[str, ...]] = [(site,) for site in _largest_first(large, sites)[:folds]]
    else:
        left_out = preserved_folds(study, sites)
    result = []
    for number, out in enumerate(left_out):
        part, training = _of_fold(study, number), tuple(name for name in large if name not in out)
        _refuse_few(len(training), study.federation.quorum, sites, least)
        members = {*training, *out}
        used = {name: data for name, data in sites.items() if name in members}
        result.append(Fold(part, split_anew(used, part), training))
    return result


def split_anew(sites: Mapping[str, SitePatients], study: Study) -> dict[str, SitePatients]:
    """Sites of `load_sites` with the test patients that `study` draws, which differs from theirs in `split` alone.

    Nothing else of a site depends on the split, so that all folds share one copy of the data.
    """
    return {
        name: replace(data, test=split_patients(study, data.patients.case_id.tolist(), data.strata.tolist()))
        for name, data in sites.items()
    }


def preserved_folds(study: Study, sites: Mapping[str, SitePatients]) -> list[tuple[str, ...]]:
    """The sites of every fold of preserved-site-kfold: all sites, each in one, classes (or deaths) as even as can be.

    Raises
    ------
    CohortError
        Fewer sites than folds.
    """
    names, folds = sorted(sites), study.split.folds
    if len(names) < folds:
        raise CohortError(
            f"expected at least {folds} hospitals for preserved-site-kfold with {folds} folds, got {len(names)}; "
            f"use --folds {len(names)} or --protocol leave-one-site-out"
        )
    strata = sorted({int(stratum) for name in names for stratum in sites[name].strata})
    counts = np.array([[int((sites[name].strata == stratum).sum()) for stratum in strata] for name in names])
    fold = assign_sites(counts, folds, derive_seed(study.seed, "preserved sites")).fold
    return [tuple(name for name, of in zip(names, fold.tolist(), strict=True) if of == f) for f in range(folds)]


def _largest_first(names: Sequence[str], sites: Mapping[str, SitePatients]) -> list[str]:
    return sorted(names, key=lambda site: (-len(sites[site].patients), site))


def _of_fold(study: Study, number: int) -> Study:
    return study.model_copy(update={"split": study.split.model_copy(update={"fold": number})})


def _refuse_few(training: int, needed: int, sites: Mapping[str, SitePatients], least: int) -> None:
    """CohortError when too few sites can train."""
    if training < needed:
        few = max(data.min_patients for data in sites.values())
        raise CohortError(
            f"expected at least {needed} sites with {least} usable patients, {few} of them for "
            f"training, got {training} of {len(sites)}; lower --min-site-patients or choose another --split"
        )


def _trains(data: SitePatients, least: int) -> bool:
    return len(data.patients) >= least and int((~data.test).sum()) >= data.min_patients
