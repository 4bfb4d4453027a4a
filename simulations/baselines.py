"""Floors that stand beside every model: linear models per modality, the hospital alone, age alone.

All are fitted on the pooled training patients of the same folds and inputs as the arms, with a library's own code.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pandas as pd
import structlog
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.exceptions import ConvergenceError
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from client.evaluation import score_patients
from shared.cohort.patients import Patients
from shared.study import Study, SurvivalTask
from simulations.fold import Fold
from simulations.forests import fit_forest, forest_name
from simulations.scores import Scores

__all__ = ["NothingToFit", "score_baselines"]

log = structlog.get_logger()
Floats = NDArray[np.float64]
COMPONENTS = 60  # 1,280 features and 60 patients: a floor needs fewer dimensions
RIDGE = 0.1


def score_baselines(fold: Fold, *, forests: bool = False) -> dict[str, Scores]:
    """Name -> scores: `linear_<modality>`, `linear_all`, `site_alone`, and `age_alone` for survival.

    With `forests`, `random_forest` or, where scikit-survival is installed, `random_survival_forest` too.
    """
    study, statistics = fold.study, fold.statistics
    train = Patients.concatenate([fold.train(site, statistics) for site in fold.training])
    test = Patients.concatenate([fold.test(site, statistics) for site in fold.training])
    unseen = fold.unseen(statistics)
    fits: dict[str, Callable[[], Callable[[Patients], Floats]]] = {"site_alone": partial(_site_alone, train, study)}
    trainable = tuple(name for name in study.modalities.names if train.count(name) >= 2)  # others have no floor
    for name in trainable:
        fits[f"linear_{name}"] = partial(_linear, train, study, (name,))
    if len(trainable) > 1:
        fits["linear_all"] = partial(_linear, train, study, trainable)
    if forests and trainable and forest_name(study):
        fits[forest_name(study)] = partial(
            fit_forest, train, study, lambda patients: _side_by_side(patients, trainable)
        )
    age = _age_column(study)
    if isinstance(study.task, SurvivalTask) and age is not None and np.ptp(train.clinical[:, age]) > 0:
        fits["age_alone"] = partial(_fit, train, study, lambda patients: patients.clinical[:, [age]].astype(np.float64))
    scores = {}
    for name, fit in fits.items():
        try:
            scores[name] = _scores(fit(), test, unseen, study)
        except (NothingToFit, ConvergenceError) as exc:
            log.warning("a floor was left out", floor=name, reason=str(exc).split("\n")[0])
    return scores


class NothingToFit(ValueError):
    """A floor has no inputs that vary among the training patients."""


def _scores(predict: Callable[[Patients], Floats], test: Patients, unseen: Patients | None, study: Study) -> Scores:
    others = () if unseen is None else (score_patients(predict(unseen), unseen, study),)
    return Scores(score_patients(predict(test), test, study), others, one_model=True)


def _age_column(study: Study) -> int | None:
    columns = study.modalities.clinical.columns if study.modalities.clinical else ()
    return columns.index("age_at_diagnosis") if "age_at_diagnosis" in columns else None


def _features(patients: Patients, kept: tuple[str, ...]) -> dict[str, Floats]:
    """Each modality as a matrix (P, width); an absent one is zeros, patches and images are averaged."""
    blocks: dict[str, Floats] = {}
    for name in kept:
        if name in ("slides", "imaging"):
            bags = patients.bags if name == "slides" else patients.images
            means = [bag.mean(axis=0) if len(bag) else np.zeros(bag.shape[1]) for bag in bags]
            blocks[name] = np.array(means, dtype=np.float64)
        elif name == "expression":
            blocks[name] = np.hstack([patients.expression, patients.aux]).astype(np.float64)
        else:
            blocks[name] = np.asarray(getattr(patients, name), dtype=np.float64)
    return blocks


def _side_by_side(patients: Patients, kept: tuple[str, ...]) -> Floats:
    """(P, width) all values of the modalities `kept`."""
    return np.hstack(list(_features(patients, kept).values()))


def _linear(train: Patients, study: Study, kept: tuple[str, ...]) -> Callable[[Patients], Floats]:
    """A linear model on the modalities `kept`, fitted on the training patients that have at least one of them."""
    column = [study.modalities.names.index(name) for name in kept]
    have = train.take(train.present[:, column].sum(axis=1) > 0)
    reducers = {}
    for name, block in _features(have, kept).items():
        here = have.present[:, study.modalities.names.index(name)] > 0
        size = min(COMPONENTS, int(here.sum()) - 1, block.shape[1])
        if size < 1 or not (block[here].std(axis=0) > 0).any():
            continue
        reducers[name] = make_pipeline(StandardScaler(), PCA(size, svd_solver="full")).fit(block[here])

    if not reducers:
        raise NothingToFit(f"expected values of {', '.join(kept)} that differ among training patients, got none")

    def reduced(patients: Patients) -> Floats:
        parts = []
        for name, block in _features(patients, tuple(reducers)).items():
            here = patients.present[:, study.modalities.names.index(name)] > 0
            part = np.zeros((len(patients), reducers[name][-1].n_components_))
            if here.any():
                part[here] = reducers[name].transform(block[here])
            # one variance for every block, so that the ridge treats modalities alike
            parts.append(part / np.sqrt(reducers[name][-1].explained_variance_.sum() or 1.0))
        return np.hstack(parts)

    return _fit(have, study, reduced)


def _fit(train: Patients, study: Study, inputs: Callable[[Patients], Floats]) -> Callable[[Patients], Floats]:
    return (
        _fit_cox(train, study.task, inputs)
        if isinstance(study.task, SurvivalTask)
        else _fit_classes(train, study, inputs)
    )


def _fit_classes(train: Patients, study: Study, inputs: Callable[[Patients], Floats]) -> Callable[[Patients], Floats]:
    """Logistic regression with a ridge; classes absent from training get probability 0."""
    classes = max(study.task.outputs, 2)
    if len(set(train.y.tolist())) < 2:
        return lambda patients: np.eye(classes)[np.full(len(patients), train.y[0])]
    model = LogisticRegression(C=1 / RIDGE, max_iter=2000).fit(inputs(train), train.y)

    def predict(patients: Patients) -> Floats:
        probabilities = np.zeros((len(patients), classes))
        probabilities[:, model.classes_] = model.predict_proba(inputs(patients))
        return probabilities

    return predict


def _fit_cox(train: Patients, task: SurvivalTask, inputs: Callable[[Patients], Floats]) -> Callable[[Patients], Floats]:
    """Cox regression with a ridge (lifelines); scores are survival at the ends of the study's time bins."""
    frame = pd.DataFrame(inputs(train)).add_prefix("x")
    frame["time"], frame["event"] = train.time, 1 - train.cens
    model = CoxPHFitter(penalizer=RIDGE).fit(frame, "time", "event")
    ends = [*task.time_edges, float(train.time.max())]

    def predict(patients: Patients) -> Floats:
        table = pd.DataFrame(inputs(patients)).add_prefix("x")
        survival: Floats = np.clip(model.predict_survival_function(table, times=ends).to_numpy().T, 0, 1)
        return survival

    return predict


def _site_alone(train: Patients, study: Study) -> Callable[[Patients], Floats]:
    """What could be reached by knowing the hospital only; a hospital without training patients gets the overall one."""
    if isinstance(study.task, SurvivalTask):
        ends = [*study.task.time_edges, float(train.time.max())]
        curve: Callable[[Patients], Floats] = lambda part: _kaplan_meier(part, ends)  # noqa: E731
    else:
        classes = max(study.task.outputs, 2)
        curve = lambda part: np.bincount(part.y, minlength=classes) / len(part)  # noqa: E731
    known: Mapping[str, Floats] = {site: curve(train.take(train.site == site)) for site in np.unique(train.site)}
    overall = curve(train)
    return lambda patients: np.array([known.get(site, overall) for site in patients.site])


def _kaplan_meier(patients: Patients, ends: list[float]) -> Floats:
    fitter = KaplanMeierFitter().fit(patients.time, 1 - patients.cens)
    return np.asarray(fitter.survival_function_at_times(ends), dtype=np.float64)
