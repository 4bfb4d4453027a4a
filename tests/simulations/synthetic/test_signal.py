"""What linear models find in the synthetic cohort: measured on real files with the product's own encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
import pandas as pd
import pytest
import torch
from lifelines import CoxPHFitter
from lifelines.utils import concordance_index
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from client.prepare.blood.table import interval_distance
from client.prepare.encoders import Encoder, build_encoder
from shared.cohort.blood import blood_panel
from simulations.synthetic import DEFAULT_HOSPITALS, write_cohort
from simulations.synthetic.looks import draw_look
from simulations.synthetic.nuclei import Morphology
from simulations.synthetic.slides import render_slide

pytestmark = pytest.mark.slow

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
CLIENTS = [hospital.code for hospital in DEFAULT_HOSPITALS[:8]]


def tiles(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Four tiles of 224 px at 1 um from the middle of a slide of 1024 px at .5 um, (4, 224, 224, 3)."""
    half = pixels.reshape(512, 2, 512, 2, 3).mean(axis=(1, 3))
    return np.stack([half[y : y + 224, x : x + 224] for y in (32, 256) for x in (32, 256)]).astype(np.uint8)


@pytest.fixture(scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


# --- the morphology is in the pixels, not in the colour ---


@dataclass(frozen=True)
class Graded:
    """150 slides of three grades, 8 looks: features (150, ...) by name, and the grade."""

    features: dict[str, Array]
    grade: NDArray[np.int64]


@pytest.fixture(scope="module")
def graded(one_thread: None) -> Graded:
    encoders = {"pretrained": build_encoder("mobilenet_v2"), "random": build_encoder("mobilenet_v2", weights="random")}
    features: dict[str, list[Array]] = {"pretrained": [], "random": [], "colour": []}
    for number in range(150):
        rng = np.random.default_rng([1, number])
        look = draw_look(np.random.SeedSequence([2, int(rng.integers(8))]))
        morphology = Morphology(level=(0.15, 0.5, 0.85)[number % 3], oligo=float(rng.uniform(0, 0.5)))
        cut = tiles(render_slide(morphology, look, np.random.SeedSequence([3, number])).pixels)
        for name, encoder in encoders.items():
            features[name].append(encoder.encode(cut).mean(axis=0).astype(np.float64))
        features["colour"].append(colour(cut))
    return Graded({name: np.stack(rows) for name, rows in features.items()}, np.arange(150) % 3)


def colour(cut: NDArray[np.uint8]) -> Array:
    """Mean and SD of red, green and blue over stained pixels."""
    pixels = cut.reshape(-1, 3).astype(np.float64)
    stained = pixels[pixels.max(axis=1) - pixels.min(axis=1) > 20]
    return np.concatenate([stained.mean(axis=0), stained.std(axis=0)])


def accuracy(graded: Graded, name: str) -> float:
    x = graded.features[name]
    reduced = [PCA(40, random_state=0), StandardScaler()] if x.shape[1] > 40 else []
    model = make_pipeline(StandardScaler(), *reduced, LogisticRegression(C=0.1, max_iter=500))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return float(cross_val_score(model, x, graded.grade, cv=folds).mean())


def test_pretrained_features_beat_random_ones_and_colours(graded: Graded) -> None:
    pretrained, random, colours = (accuracy(graded, name) for name in ("pretrained", "random", "colour"))
    assert pretrained >= random + 0.15, f"pretrained {pretrained:.3f}, random {random:.3f}"
    assert pretrained >= colours + 0.15, f"pretrained {pretrained:.3f}, colours {colours:.3f}"
    assert colours < 0.55


# --- what each modality of the default cohort knows ---


@dataclass(frozen=True)
class Measured:
    """The default cohort as arrays of P patients; a row of NaN where the modality is absent."""

    modalities: dict[str, Array]
    clinical: pd.DataFrame

    @property
    def hospital(self) -> NDArray[np.str_]:
        return self.clinical.index.str[5:7].to_numpy(dtype=str)


@pytest.fixture(scope="module")
def measured(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("default") / "cohort"
    write_cohort(folder, workers=2)
    clinical = pd.read_csv(folder / "clinical.tsv", sep="\t", index_col="case_id")
    expression = pd.read_csv(folder / "expression.tsv.gz", sep="\t", index_col="gene_symbol").T
    tables = {"slides": slide_features(folder), "expression": expression, "blood": blood_distances(folder)}
    arrays = {name: table.reindex(clinical.index).to_numpy(dtype=np.float64) for name, table in tables.items()}
    return Measured(arrays, clinical)


def slide_features(folder: Path) -> pd.DataFrame:
    encoder = build_encoder("mobilenet_v2")
    slides = pd.read_csv(folder / "slides.tsv", sep="\t", index_col="case_id")["slide_id"]
    return pd.DataFrame({case_id: encoded(folder, slide, encoder) for case_id, slide in slides.items()}).T


def encoded(folder: Path, slide_id: str, encoder: Encoder) -> NDArray[np.float32]:
    with openslide.OpenSlide(folder / "slides" / f"{slide_id}.svs") as slide:
        pixels = np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))
    features: NDArray[np.float32] = encoder.encode(tiles(pixels)).mean(axis=0)
    return features


def blood_distances(folder: Path) -> pd.DataFrame:
    blood = pd.read_csv(folder / "blood.csv")
    blood["distance"] = [
        interval_distance(value, low, high)
        for value, low, high in zip(blood["value"], blood["ref_low"], blood["ref_high"], strict=True)
    ]
    wide = blood.pivot_table(index="case_id", columns="analyte", values="distance")
    return wide.reindex(columns=[analyte.loinc for analyte in blood_panel()]).fillna(0.0)


def design(measured: Measured, names: Sequence[str], fit: Flags) -> Array:
    """Features (P, ...) standardised on the patients `fit`; slides reduced to 40; absent is 0."""
    return np.hstack([standardised(measured.modalities[name], fit) for name in names])


def standardised(x: Array, fit: Flags) -> Array:
    here = np.isfinite(x).all(axis=1)
    scaler = StandardScaler().fit(x[fit & here])
    z = np.zeros((len(x), x.shape[1]))
    z[here] = scaler.transform(x[here])
    if x.shape[1] > 200:
        pca = PCA(40, random_state=0).fit(z[fit & here])
        reduced = np.zeros((len(x), 40))
        reduced[here] = pca.transform(z[here]) / 8
        return reduced
    return z


def classifier() -> LogisticRegression:
    return LogisticRegression(C=0.01, max_iter=500)


def macro_auc(y: NDArray[np.str_], scores: Array, classes: Sequence[str]) -> float:
    return float(np.mean([roc_auc_score(y == c, scores[:, k]) for k, c in enumerate(classes)]))


def cross_validated(measured: Measured, names: Sequence[str], column: str = "grade") -> float:
    """Macro one-vs-rest AUC over 5 folds of the patients who have one of the modalities at least."""
    y = measured.clinical[column].to_numpy(dtype=str)
    classes = sorted(set(y))
    here = np.flatnonzero(np.any([np.isfinite(measured.modalities[name]).all(axis=1) for name in names], axis=0))
    scores = np.zeros((len(y), len(classes)))
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(here, y[here]):
        fit = np.zeros(len(y), dtype=bool)
        fit[here[train]] = True
        x = design(measured, names, fit)
        scores[here[test]] = classifier().fit(x[fit], y[fit]).predict_proba(x[here[test]])
    return macro_auc(y[here], scores[here], classes)


def test_each_modality_knows_some_and_together_they_know_more(measured: Measured) -> None:
    alone = {name: cross_validated(measured, [name]) for name in measured.modalities}
    together = cross_validated(measured, list(measured.modalities))
    for name, value in alone.items():
        assert 0.70 <= value <= 0.85, f"{name} alone: {value:.3f}"
    assert together >= max(alone.values()) + 0.05, f"{alone}, together {together:.3f}"


@pytest.mark.parametrize("left_out", ["slides", "expression"])
def test_no_modality_can_be_spared(measured: Measured, left_out: str) -> None:
    rest = [name for name in measured.modalities if name != left_out]
    assert cross_validated(measured, list(measured.modalities)) >= cross_validated(measured, rest) + 0.02


def test_idh_and_codel_are_in_expression_and_partly_in_the_slide(measured: Measured) -> None:
    assert cross_validated(measured, ["expression"], "idh_codel_subtype") > 0.9
    assert cross_validated(measured, ["slides"], "idh_codel_subtype") > 0.65


def test_survival_follows_what_was_measured(measured: Measured) -> None:
    months = measured.clinical["os_months"].to_numpy(dtype=float)
    events = measured.clinical["os_event"].to_numpy(dtype=int)
    values = []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(months, events):
        fit = np.zeros(len(months), dtype=bool)
        fit[train] = True
        age = (measured.clinical["age_at_diagnosis"].to_numpy(dtype=float)[:, None] - 50) / 10
        table = pd.DataFrame(np.hstack([design(measured, list(measured.modalities), fit), age]))
        training = table[fit].assign(months=months[fit], events=events[fit])
        model = CoxPHFitter(penalizer=0.5).fit(training, "months", "events")
        values.append(concordance_index(months[test], -model.predict_partial_hazard(table[~fit]), events[test]))
    assert 0.70 < np.mean(values) < 0.82


def test_a_model_of_one_hospital_is_lost_elsewhere(measured: Measured) -> None:
    y = measured.clinical["grade"].to_numpy(dtype=str)
    classes = sorted(set(y))
    client = np.isin(measured.hospital, CLIENTS)
    x = design(measured, list(measured.modalities), client)

    def unseen_auc(training: Flags) -> float:
        model = classifier().fit(x[training], y[training])
        scores = np.zeros((int((~client).sum()), len(classes)))
        scores[:, [classes.index(c) for c in model.classes_]] = model.predict_proba(x[~client])
        return macro_auc(y[~client], scores, classes)

    pooled = unseen_auc(client)
    local = np.mean([unseen_auc(measured.hospital == code) for code in CLIENTS])
    assert pooled >= 0.84
    assert pooled - local >= 0.08, f"pooled {pooled:.3f}, mean of local models {local:.3f}"
