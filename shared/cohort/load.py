"""From a site's feature store to the patients of a study."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.cohort.genes import vocabulary
from shared.cohort.normalise import GeneStatistics, gene_sums, normal_scores, public_range
from shared.cohort.patients import Patients
from shared.cohort.splits import split_patients
from shared.cohort.store import FeatureStore, Table, TableName
from shared.errors import CohortError, Refused
from shared.site import Disclosure
from shared.study import Study
from shared.tasks import task_of

__all__ = ["SitePatients", "load_everyone", "load_patients"]


@dataclass(frozen=True)
class SitePatients:
    """A site's usable patients for one study. Gene values are clipped to the public range, not yet normalised."""

    patients: Patients
    test: NDArray[np.bool_]  # (P,)
    strata: NDArray[np.int64]  # (P,) class or event
    excluded: Counter[str]  # reason -> patients left out of the task
    encoders: Mapping[str, str]  # slides, imaging, blood (as text) -> SHA-256 of the encoder, "" when nobody has it
    stain: str  # stain normalisation of the slide features, "" without slides
    min_patients: int = Disclosure().min_patients  # of the site file, where a simulation has read it

    @property
    def train_sums(self) -> NDArray[np.float64]:
        """Gene sums (3, U) of the training patients, whatever their number."""
        return self.sums(min_patients=1)

    def sums(self, min_patients: int) -> NDArray[np.float64]:
        """Gene sums (3, U) of the training patients; zeros when fewer than `min_patients` have expression."""
        part = self.patients.take(~self.test)
        width = part.expression.shape[1]
        if width == 0 or part.count("expression") < min_patients:
            return np.zeros((3, width))
        return gene_sums(part.expression, part.expression_observed, min_patients)

    def normalised(self, study: Study, statistics: GeneStatistics | None) -> Patients:
        """All patients with gene values as the model takes them."""
        settings = study.modalities.expression
        if settings is None:
            return self.patients
        values, observed = self.patients.expression, self.patients.expression_observed
        if settings.normalise == "rank":
            scaled = normal_scores(values, observed, settings.clip)
        elif settings.normalise == "site" or statistics is None:
            own = GeneStatistics.merge([self.train_sums], values.shape[1])
            scaled = own.apply(values, observed, settings.clip)
        else:
            scaled = statistics.apply(values, observed, settings.clip)
        return replace(self.patients, expression=scaled)


def load_patients(
    store: FeatureStore, study: Study, scale: str, withdrawn: Collection[str] = frozenset()
) -> SitePatients:
    """The patients of `store` that have the study's label and at least one of its modalities.

    Parameters
    ----------
    store
        A finished feature store.
    study
        The resolved study.
    scale
        `expression.scale` of the site file.
    withdrawn
        Case ids of exclude.csv. They are dropped after the split, so that nobody else changes sides.

    Raises
    ------
    Refused
        GENES_MISMATCH when the store was prepared for another vocabulary; NO_PATIENTS when nobody is left.
    """
    labels = task_of(study.task).labels(store.patients)
    present = _presence(store, study)
    reasons = np.array(labels.reason, dtype=object)
    reasons[(reasons == "") & (present.sum(1) == 0)] = "none of the study's modalities"
    usable = reasons == ""
    if not usable.any():
        raise Refused("NO_PATIENTS", f"expected patients with label and data, got none of {len(reasons)}; run `check`")
    columns = {"y": labels.y, "time": labels.time, "cens": labels.cens, **_further(store, study)}
    patients = _patients(store, study, scale, present, columns).take(usable)
    strata = task_of(study.task).strata(labels)[usable]
    test = split_patients(study, patients.case_id.tolist(), strata.tolist())
    stay = ~np.isin(patients.case_id, list(withdrawn))
    excluded = Counter(reasons[~usable].tolist())
    if not stay.all():
        excluded["exclude.csv"] = int((~stay).sum())
    encoders = store.manifest.encoders
    return SitePatients(patients.take(stay), test[stay], strata[stay], excluded, encoders, store.stain)


def load_everyone(
    store: FeatureStore, study: Study, scale: str, withdrawn: Collection[str] = frozenset()
) -> SitePatients:
    """The patients of `store` that have at least one of the study's modalities, to be scored: no label is needed.

    Their labels and times are 0. With `normalise = "site"` gene statistics are those of the site's training patients,
    as `load_patients` finds them; of all patients where none has the study's label.

    Raises
    ------
    Refused
        GENES_MISMATCH when the store was prepared for another vocabulary; NO_PATIENTS when nobody is left.
    """
    present, ids = _presence(store, study), store.patients["case_id"].to_numpy(dtype=str)
    chosen = (present.sum(1) > 0) & ~np.isin(ids, list(withdrawn))
    if not chosen.any():
        raise Refused("NO_PATIENTS", f"expected patients with data, got none of {len(ids)}; run `prepare` again")
    nothing = np.zeros(len(ids), dtype=np.float32)
    blank = {"y": np.zeros(len(ids), dtype=np.int64), "time": nothing, "cens": nothing}
    patients = _patients(store, study, scale, present, blank).take(chosen)
    others = np.zeros(len(patients), dtype=bool)
    if study.modalities.expression and study.modalities.expression.normalise == "site":
        others = _never_trained(patients, store, study, scale, withdrawn)
    strata = np.zeros(len(patients), dtype=np.int64)
    return SitePatients(patients, others, strata, Counter(), store.manifest.encoders, store.stain)


def _never_trained(
    patients: Patients, store: FeatureStore, study: Study, scale: str, withdrawn: Collection[str]
) -> NDArray[np.bool_]:
    """Which patients (P,) are not among the training patients; nobody where the site has no labels."""
    try:
        known = load_patients(store, study, scale, withdrawn)
    except (Refused, CohortError):
        return np.zeros(len(patients), dtype=bool)
    return ~np.isin(patients.case_id, known.patients.case_id[~known.test])


def _patients(
    store: FeatureStore, study: Study, scale: str, present: NDArray[np.float32], labels: Mapping[str, Any]
) -> Patients:
    """Every patient of the store, in its order."""
    return Patients(
        site=np.full(len(present), store.manifest.site),
        case_id=store.patients["case_id"].to_numpy(dtype=str),
        modalities=study.modalities.names,
        present=present,
        **_bags(store, study),
        **_images(store, study),
        **_tables(store, study, scale),
        **labels,
    )


def _further(store: FeatureStore, study: Study) -> dict[str, Any]:
    """The labels of the study's further heads (P, H)."""
    heads = [task_of(head.task).labels(store.patients) for head in study.heads]
    names = ("y", "time", "cens") if heads else ()
    return {f"further_{name}": np.stack([getattr(head, name) for head in heads], axis=1) for name in names}


def _presence(store: FeatureStore, study: Study) -> NDArray[np.float32]:
    """(P, M): 1 where the store gives no reason for absence."""
    columns = [store.patients[f"absent_{name}"].to_numpy(dtype=str) == "" for name in study.modalities.names]
    return np.stack(columns, axis=1).astype(np.float32)


def _bags(store: FeatureStore, study: Study) -> dict[str, Any]:
    settings = study.modalities.slides
    keys = store.patients["key"].tolist()
    if settings is None:
        return {"bags": tuple(np.zeros((0, 0), np.float32) for _ in keys), "max_patches": 1}
    bags = store.all_slides()
    empty = np.zeros((0, settings.dim), dtype=np.float32)
    return {"bags": tuple(bags.get(key, empty) for key in keys), "max_patches": settings.max_patches}


def _images(store: FeatureStore, study: Study) -> dict[str, Any]:
    settings = study.modalities.imaging
    if settings is None:
        return {}
    images = store.images()
    empty = np.zeros((0, settings.dim + 1), dtype=np.float32)
    found = tuple(images.get(key, empty) for key in store.patients["key"])
    if any(image.shape[1] != settings.dim + 1 for image in found):
        raise _other_width("imaging", settings.dim)
    return {"images": found, "max_images": settings.max_images}


def _tables(store: FeatureStore, study: Study, scale: str) -> dict[str, Any]:
    """Every table aligned with the patients of the store; width 0 when the study does not use it."""
    use, rows = study.modalities, len(store.patients)
    wanted: dict[TableName, tuple[str, ...]] = {
        "expression": vocabulary(use.expression.groups) if use.expression else (),
        "aux": use.expression.aux_columns if use.expression else (),
        "blood": use.blood.analytes if use.blood and use.blood.route == "numeric" else (),
        "clinical": use.clinical.columns if use.clinical else (),
    }
    arrays: dict[str, Any] = {}
    for name, columns in wanted.items():
        table = store.table(name) if columns else None
        values, observed = _aligned(store, table, columns, rows)
        if name == "expression" and columns:
            values = np.where(observed, public_range(scale, values), 0).astype(np.float32)
        arrays[name], arrays[f"{name}_observed"] = values, observed
    if use.blood and use.blood.route != "numeric":
        arrays["blood"], arrays["blood_observed"] = _described_blood(store, use.blood.text_dim)
    return arrays


def _described_blood(store: FeatureStore, width: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The features of the described results (P, width); a patient with blood has all of them observed."""
    values = np.zeros((len(store.patients), width), dtype=np.float32)
    present = store.patients["absent_blood"].to_numpy(dtype=str) == ""
    text = store.blood_text()
    if text is not None:
        if text.features.shape[1] != width:
            raise _other_width("blood", width)
        values[_places(store, text.keys)] = text.features
    values[~present] = 0
    return values, np.repeat(present[:, None], width, axis=1)


def _places(store: FeatureStore, keys: Sequence[str]) -> NDArray[np.int64]:
    """Where the patients with these keys stand in the store."""
    place = {key: i for i, key in enumerate(store.patients["key"])}
    return np.array([place[key] for key in keys], dtype=np.int64)


def _other_width(modality: str, width: int) -> Refused:
    return Refused(
        "ENCODER_MISMATCH", f"expected {modality} features of width {width}, got others; run `prepare` with this study"
    )


def _aligned(
    store: FeatureStore, table: Table | None, columns: tuple[str, ...], rows: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    values = np.zeros((rows, len(columns)), dtype=np.float32)
    observed = np.zeros((rows, len(columns)), dtype=bool)
    if table is None:
        return values, observed
    if table.columns != columns:
        raise Refused("GENES_MISMATCH", "expected the columns of the study, got a store for others; run `prepare`")
    target = _places(store, table.keys)
    values[target], observed[target] = table.values, table.observed
    return values, observed
