"""Score the further heads of a study: the patients of each arm that have the head's label, by the arm's own models."""

from collections.abc import Iterable

from torch import nn

from client.evaluation import predict, score_patients
from shared.cohort.patients import Patients
from shared.metrics import Scored
from shared.study import Head, Study
from simulations.arms import Trained, restored
from simulations.fold import Fold
from simulations.scores import Scores

__all__ = ["score_heads"]

Group = tuple[nn.Module, Patients]
"""A model, and the patients that it scores."""


def score_heads(fold: Fold, trained: Trained) -> dict[str, Scores]:
    """Head -> scores of the same patients as the main task's, less those without the head's label."""
    if not fold.study.heads:
        return {}
    modules = {name: restored(fold.study, model) for name, model in trained.models.items()}
    own = []
    for site in fold.training:
        name = site if site in modules else ""
        own.append((modules[name], fold.test(site, trained.models[name].statistics)))
    one = "" in modules
    strangers = [(modules[name], fold.unseen(trained.models[name].statistics)) for name in ([""] if one else modules)]
    unseen = [(module, patients) for module, patients in strangers if patients is not None]
    return {
        head.name: Scores(Scored.concat(_scored(own, fold.study, head)), tuple(_scored(unseen, fold.study, head)), one)
        for head in fold.study.heads
    }


def _scored(groups: Iterable[Group], study: Study, head: Head) -> list[Scored]:
    """The predictions of one head for each group, which may be nobody."""
    place = study.heads.index(head)
    labelled = [(module, patients.of_head(place)) for module, patients in groups]
    return [score_patients(predict(module, part, study, head), part, study, head) for module, part in labelled]
