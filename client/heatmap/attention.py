"""The attention of a trained model over the tiles of one slide."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch import nn

from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.bag_files import Attribute, read_bag_attributes, read_bag_coords
from shared.cohort.load import load_patients
from shared.cohort.normalise import GeneStatistics
from shared.cohort.patients import Patients
from shared.cohort.spread import spread
from shared.cohort.store import FeatureStore
from shared.cohort.tables import read_exclusions
from shared.errors import BadInput
from shared.site import Site
from shared.study import ClassificationTask, Study, SurvivalTask
from shared.tasks import task_of
from shared.weights import load_arrays, new_model, travelling

__all__ = ["TileAttention", "attend"]


@dataclass(frozen=True, eq=False)
class TileAttention:
    """The model's weights on the tiles of one slide, and what it says of the patient."""

    corners: NDArray[np.int64]  # (N, 2) = x, y in level-0 pixels
    weights: NDArray[np.float64]  # (N,), those of the patient's whole bag add up to 1
    attributes: dict[str, Attribute]  # of the slide's features: tile, mpp and others
    prediction: str

    @property
    def shares(self) -> NDArray[np.float64]:
        """Weights over the largest on this slide: (N,), 0 to 1."""
        return np.asarray(self.weights / max(float(self.weights.max()), np.finfo(float).tiny))


def attend(site: Site, study: Study, model: Path, slide_id: str) -> TileAttention:
    """The attention on the tiles of `slide_id` that the model saw.

    The patient is taken from the feature store as in an evaluation: all slides in one bag, of which `max_patches`
    patches spread over it are used, and all other modalities.

    Raises
    ------
    BadInput
        Nothing is prepared, the slide is unknown or was left out, the model is another study's, or it pays no
        attention to patches.
    """
    store = _store(site, study)
    key = _key_of(store, slide_id)
    patient = _patient(site, study, store, key, model)
    weights, prediction = _weights(_load(study, model), patient, study)
    corners, attributes, first = _tiles(store, key, slide_id)
    places = spread(len(patient.bags[0]), patient.max_patches) - first  # of the patches that the model saw
    here = (places >= 0) & (places < len(corners))
    if not here.any():
        raise BadInput(
            f"expected a slide with one of the {patient.max_patches} patches that the model sees of the patient, "
            "got one without; choose a larger slide"
        )
    return TileAttention(corners[places[here]], weights[: len(places)][here], attributes, prediction)


def _store(site: Site, study: Study) -> FeatureStore:
    folder = store_folder(site, PrepareSettings.of(study))
    if study.modalities.slides is None:
        raise BadInput("expected a study with slides, got one without; there is nothing to draw on")
    if not (folder / "manifest.json").is_file():
        raise BadInput(f"expected a feature store in {folder}, got none; run `mmfed-client prepare`")
    return FeatureStore.open(folder)


def _key_of(store: FeatureStore, slide_id: str) -> str:
    for key, slides in store.manifest.slides.items():
        if slide_id in slides:
            return key
    raise BadInput("expected the id of a prepared slide, got another; see prepare-report.csv for why it was left out")


def _patient(site: Site, study: Study, store: FeatureStore, key: str, model: Path) -> Patients:
    """The one patient as the model takes it."""
    case_id = str(store.patients.loc[store.patients["key"] == key, "case_id"].iloc[0])
    data = load_patients(store, study, site.expression.scale, read_exclusions(site.data))
    rows = np.flatnonzero(data.patients.case_id == case_id)
    if not len(rows):
        raise BadInput(
            "expected a slide of a patient with the study's label, got one that is excluded or lacks it; "
            "complete clinical.tsv, or choose another slide"
        )
    return data.normalised(study, _statistics(study, model)).take(rows)


def _statistics(study: Study, model: Path) -> GeneStatistics | None:
    """The gene statistics that the model was trained with; None where it used none of the federation's."""
    expression = study.modalities.expression
    if expression is None or expression.normalise != "federated":
        return None
    path = model.with_name("gene_stats.safetensors")
    table = _arrays(path).get("gene_statistics") if path.is_file() else None
    if table is None or table.ndim != 2 or len(table) != 2:
        raise BadInput(f"{path}: expected the gene statistics of the run, got none; copy the whole run folder")
    return GeneStatistics(table.astype(np.float64))


def _load(study: Study, path: Path) -> nn.Module:
    """The study's model with the weights in `path`."""
    arrays = _arrays(path)
    model = new_model(study)
    wanted = {name: tuple(value.shape) for name, value in travelling(model).items()}
    if {name: array.shape for name, array in arrays.items()} != wanted:
        raise BadInput(
            f"{path}: expected the weights of study {study.name}, got another model's; choose its run folder"
        )
    load_arrays(model, arrays)
    return model.eval()


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as exc:
        raise BadInput(f"{path}: expected a safetensors file, got {exc}; give the file of a finished run") from exc


def _weights(model: nn.Module, patient: Patients, study: Study) -> tuple[NDArray[np.float64], str]:
    """The weights on the patient's bag (N,), and what the model says of the patient."""
    task = task_of(study.task)
    with torch.no_grad():
        output = model(patient.batch([0]))
        scores = task.scores(output)[0].double().numpy()
    if "slides" not in output["attention"]:
        raise BadInput(
            f"expected a model with attention over patches, got {study.model.architecture}; "
            "heatmaps need e.g. abmil or s1_crossattn"
        )
    return output["attention"]["slides"][0].double().numpy(), _words(scores, study)


def _words(scores: NDArray[np.float64], study: Study) -> str:
    """The prediction as people read it."""
    if isinstance(study.task, SurvivalTask):
        parts = zip(study.task.time_edges, scores, strict=False)
        return "survival: " + ", ".join(f"{month:g} months {share:.0%}" for month, share in parts)
    classes = study.task.classes if isinstance(study.task, ClassificationTask) else ()
    order = np.argsort(-scores, kind="stable")
    return ", ".join(f"{classes[i]} {scores[i]:.0%}" for i in order)


def _tiles(store: FeatureStore, key: str, slide_id: str) -> tuple[NDArray[np.int64], dict[str, Attribute], int]:
    """Corners (N, 2) of a slide's tiles, its attributes, and its first place in the patient's bag."""
    first = 0
    for name in store.manifest.slides[key]:
        path = store.folder / "slides" / f"{name}.h5"
        corners = read_bag_coords(path)
        if name == slide_id:
            return corners, read_bag_attributes(path), first
        first += len(corners)
    raise AssertionError(slide_id)
