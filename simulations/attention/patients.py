"""The weights that a trained model gives to the tiles, gene groups and modalities of each test patient."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.bag_files import read_bag_attributes, read_bag_coords
from shared.cohort.patients import Patients
from shared.cohort.spread import spread
from shared.cohort.store import FeatureStore
from shared.cohort.tables import read_slides
from shared.site import read_site
from shared.study import ClassificationTask, Study
from shared.tasks import task_of
from simulations.hospitals import Hospital

__all__ = ["AttendedPatient", "SeenTiles", "attended_patients"]

Floats = NDArray[np.float64]
AT_ONCE = 64  # patients a forward pass


@dataclass(frozen=True, eq=False)
class SeenTiles:
    """The tiles of one slide that the model saw."""

    file: Path | None  # the slide; None where the hospital holds its features only
    corners: NDArray[np.int64]  # (n, 2) = x, y in level-0 px
    side: float  # of a tile in level-0 px; 0 where the features do not say
    mpp: float  # um per level-0 px; 0 where the features do not say
    rows: NDArray[np.int64]  # (n,) their places among the patient's weights


@dataclass(frozen=True, eq=False)
class AttendedPatient:
    """A patient as the model saw it. Without case_id: what is made of it goes into a report."""

    site: str
    kind: int  # class; 0 for survival
    scores: Floats  # (C,) class probabilities, or (K,) survival beyond each time bin
    tiles: Floats  # (N,) weights of the patches seen, all slides together; they add up to 1, () without slides
    slides: tuple[SeenTiles, ...] = ()
    weights: dict[str, Floats] = field(default_factory=dict)  # "groups" (G,), "modalities" (M,); only those that exist
    prototypes: Floats | None = None  # (P, N) how strongly each patch belongs to each prototype


def attended_patients(
    model: nn.Module, patients: Patients, study: Study, hospital: Hospital
) -> tuple[AttendedPatient, ...]:
    """One hospital's `patients` through `model`; patients stay in order."""
    places = _places(patients, study, hospital)
    model.eval()
    found = []
    for start in range(0, len(patients), AT_ONCE):
        rows = range(start, min(start + AT_ONCE, len(patients)))
        with torch.no_grad():
            output = model(patients.batch(list(rows)))
            scores = task_of(study.task).scores(output).double().numpy()
        attention = {name: weights.double().numpy() for name, weights in output["attention"].items()}
        for i, row in enumerate(rows):
            seen = min(len(patients.bags[row]), patients.max_patches) if "slides" in attention else 0
            prototypes = attention["prototypes"][i, :, :seen] if "prototypes" in attention and seen else None
            found.append(
                AttendedPatient(
                    site=hospital.id,
                    kind=int(patients.y[row]) if isinstance(study.task, ClassificationTask) else 0,
                    scores=scores[i],
                    tiles=attention["slides"][i, :seen] if seen else np.zeros(0),
                    slides=places[row] if seen else (),
                    weights={name: attention[name][i] for name in ("groups", "modalities") if name in attention},
                    prototypes=prototypes,
                )
            )
    return tuple(found)


def _places(patients: Patients, study: Study, hospital: Hospital) -> list[tuple[SeenTiles, ...]]:
    """Where the patches that the model sees lie, one entry a patient."""
    if study.modalities.slides is None:
        return [()] * len(patients)
    site = read_site(hospital.site_file)
    store = FeatureStore.open(store_folder(site, PrepareSettings.of(study)))
    keys = dict(zip(store.patients["case_id"], store.patients["key"], strict=True))
    table = read_slides(site.data)
    files = {} if table is None else dict(zip(table["slide_id"], table["path"], strict=True))
    return [
        _seen(store, files, store.manifest.slides.get(keys[case], []), spread(len(bag), patients.max_patches))
        for case, bag in zip(patients.case_id, patients.bags, strict=True)
    ]


def _seen(
    store: FeatureStore, files: dict[str, Path | None], names: Sequence[str], chosen: NDArray[np.int64]
) -> tuple[SeenTiles, ...]:
    """The slides `names`, which make one bag in this order, with the `chosen` places of the bag."""
    slides, first = [], 0
    for name in names:
        path = store.folder / "slides" / f"{name}.h5"
        corners, attributes = read_bag_coords(path), read_bag_attributes(path)
        rows = np.flatnonzero((chosen >= first) & (chosen < first + len(corners)))
        mpp = float(attributes.get("slide_mpp", 0))
        side = int(attributes["tile"]) * float(attributes["mpp"]) / mpp if mpp else 0.0
        slides.append(SeenTiles(files.get(name), corners[chosen[rows] - first], side, mpp, rows))
        first += len(corners)
    return tuple(slides)
