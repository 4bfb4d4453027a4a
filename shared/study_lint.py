"""Whether a study keeps the privacy it promises: the lint over the study, its model and its loss."""

import json
from functools import lru_cache

from shared.privacy.facts import facts_of
from shared.privacy.gradients import Losses
from shared.privacy.lint import lint
from shared.study import DetectionTask, Study, parse_study
from shared.tasks import loss_of
from shared.weights import new_model

__all__ = ["privacy_faults"]


def privacy_faults(study: Study, bucket: str = "", duplicates: int = 0, *, simulated: bool = False) -> tuple[str, ...]:
    """What would break the promise of a study with privacy on, one sentence each; empty without privacy.

    Parameters
    ----------
    bucket
        The site's published size, "" where it is not known yet.
    duplicates
        Patients that the site's cohort holds more than once.
    simulated
        In a simulation noise may come from a known seed; every report then says NOT PRIVATE.
    """
    return _faults(study.canonical(), bucket, duplicates, simulated) if study.privacy.on else ()


@lru_cache(maxsize=64)
def _faults(study_json: str, bucket: str, duplicates: int, simulated: bool) -> tuple[str, ...]:
    study = parse_study(json.loads(study_json))
    known = bool(study.outputs) and not isinstance(study.task, DetectionTask)
    facts = facts_of(
        study,
        new_model(study) if known else None,
        _losses(study) if known else None,
        bucket=bucket,
        duplicates=duplicates,
        simulated=simulated,
    )
    return tuple(str(fault) for fault in lint(facts))


def _losses(study: Study) -> Losses:
    loss = loss_of(study)
    return lambda output, batch: loss(output, batch) + output["aux_loss"]
