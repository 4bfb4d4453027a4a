"""What a site does for one order of a detection study; the same three functions as in client/work.py."""

from pathlib import Path
from typing import cast

import numpy as np

from client.detection.evaluation import find_lesions
from client.detection.session import DetectionSession
from client.detection.training import train_round
from client.local_layers import keep_own, take_up_own
from client.local_state import own_folder
from client.session import warm_model
from shared import __version__
from shared.detection.contained import contained
from shared.messages import EvaluateReply, HandshakeReply, Order, Statistic, TrainReply, bucket
from shared.metrics import Statistics
from shared.models.yolo import Yolo
from shared.seeds import derive_seed
from shared.weights import load_arrays, take_arrays

__all__ = ["evaluate_model", "greet", "train_model"]


def greet(session: DetectionSession) -> HandshakeReply:
    """What the coordinator must know before round 1; counts leave in buckets only."""
    return HandshakeReply(
        site=session.site.id,
        version=__version__,
        encoders={},
        genes_sha256="",
        buckets={name: bucket(count) for name, count in session.counts.items()},
        gene_sums=np.zeros((3, 0)),
        per_site_results=session.site.disclosure.per_site_results,
    )


def train_model(session: DetectionSession, order: Order, own: Path | None = None) -> TrainReply:
    """One round: score the received network on own test patients, then train it on own training pictures.

    Both with the running statistics that BatchNorm gathered here; what is sent holds them too, for the average.
    """
    study, site = session.study, session.site
    folder = own or own_folder(site, order.digest)
    model = _received(session, order, folder, order.round)
    evaluation = _evaluate(session, model)
    result = train_round(
        model,
        session.data.train,
        study,
        learning_rate=order.learning_rate,
        seed=derive_seed(order.digest, site.id, order.round),
    )
    keep_own(model, folder, order.round, study.federation.strategy)
    return TrainReply(
        site=site.id,
        round=order.round,
        arrays=take_arrays(model, session.held),
        patients=session.counts,
        steps=result.steps,
        loss_sum=result.loss_sum,
        evaluation=evaluation,
    )


def evaluate_model(session: DetectionSession, order: Order, own: Path | None = None) -> EvaluateReply:
    """Score the final network, with the running statistics of this site, on own test patients."""
    folder = own or own_folder(session.site, order.digest)
    model = _received(session, order, folder, session.study.training.rounds + 1)
    return EvaluateReply(site=session.site.id, evaluation=_evaluate(session, model))


def _received(session: DetectionSession, order: Order, folder: Path, round_: int) -> Yolo:
    with contained(session.site.state):  # ultralytics settles where it is first imported: inside the site
        model = cast(Yolo, warm_model(session.study_json, session.device))
    load_arrays(model, order.arrays)
    take_up_own(model, folder, round_, session.study.federation.strategy)
    return model


def _evaluate(session: DetectionSession, model: Yolo) -> dict[str, Statistic]:
    """Mergeable statistics on test patients; nothing when they are too few or the site keeps them to itself.

    Too few is also fewer than `min_patients` with a lesion, or without one where there is such a patient.
    """
    terms = session.site.disclosure
    cells = np.bincount(session.data.boxed)
    if not terms.evaluation or not len(cells) or cells[cells > 0].min() < terms.min_patients:
        return {}
    return Statistics.of(find_lesions(model, session.data.test, session.site.id)).to_record()
