"""What a site does for one order: greet, train, or evaluate; one function each, which another process can take over.

With privacy on client/private_round.py trains in place of `train_model`: it charges before it calls `train_privately`.
"""

from pathlib import Path

import numpy as np

from client.evaluation import predict, score_patients
from client.local_layers import keep_own, take_up_own
from client.local_state import own_folder
from client.scaffold import Control
from client.session import Session, warm_model
from client.training import train_round
from shared import __version__
from shared.cohort.encoded import named_encoders
from shared.cohort.genes import vocabulary
from shared.cohort.normalise import GeneStatistics
from shared.cohort.patients import Patients
from shared.digests import sha256_bytes
from shared.errors import Refused
from shared.messages import EvaluateReply, HandshakeReply, Order, Statistic, TrainReply, bucket
from shared.metrics import Statistics
from shared.seeds import derive_seed
from shared.weights import load_arrays, take_arrays, trainable

__all__ = ["evaluate_model", "greet", "train_model"]


def greet(session: Session) -> HandshakeReply:
    """What the coordinator must know before round 1; counts leave in buckets only."""
    use, data = session.study.modalities, session.data
    # no other study needs them, and they would leave a private one without noise
    private = session.study.privacy.on
    summed = use.expression is not None and use.expression.normalise == "federated" and not private
    genes = vocabulary(use.expression.groups) if use.expression else ()
    return HandshakeReply(
        site=session.site.id,
        version=__version__,
        encoders={
            name: data.encoders.get(name, "") if name in session.held else "" for name in named_encoders(session.study)
        },
        genes_sha256=use.expression.genes_sha256 if use.expression else "",
        buckets={name: bucket(count) for name, count in session.counts.items()},
        gene_sums=data.sums(session.site.disclosure.min_patients) if summed else np.zeros((3, len(genes))),
        per_site_results=session.site.disclosure.per_site_results,
        stain=data.stain if "slides" in session.held else "",
    )


def train_model(session: Session, order: Order, own: Path | None = None) -> TrainReply:
    """One round: score the received model on own test patients, then train it on own training patients.

    Parameters
    ----------
    own
        Folder of what this site keeps from round to round; None = its state folder.
    """
    study, site = session.study, session.site
    strategy, folder = study.federation.strategy, own or own_folder(site, order.digest)
    train, test = session.patients(_statistics(order))
    model = warm_model(session.study_json, session.device)
    load_arrays(model, order.arrays)
    take_up_own(model, folder, order.round, strategy)
    evaluation = _evaluate(session, test)
    control = Control.of(folder, order) if order.control else None
    prox = study.federation.strategy_options.get("proximal_mu", 0.0) if strategy == "fedprox" else 0.0
    result = train_round(
        model,
        trainable(model, session.held),
        train,
        study,
        learning_rate=order.learning_rate,
        seed=derive_seed(order.digest, site.id, order.round),
        proximal_mu=prox,
        correction=control.correction() if control else None,
        precision=site.compute.precision if session.device.type == "cuda" else "fp32",
    )
    keep_own(model, folder, order.round, strategy, session.held)
    arrays = take_arrays(model, session.held)
    return TrainReply(
        site=site.id,
        round=order.round,
        arrays=arrays,
        patients=session.counts,
        steps=result.steps,
        loss_sum=result.loss_sum,
        evaluation=evaluation,
        control=control.change(arrays, result.steps) if control else {},
    )


def evaluate_model(session: Session, order: Order, own: Path | None = None) -> EvaluateReply:
    """Score the final model, with the layers this site keeps its own of, on own test patients."""
    _, test = session.patients(_statistics(order))
    model = warm_model(session.study_json, session.device)
    load_arrays(model, order.arrays)
    folder = own or own_folder(session.site, order.digest)
    take_up_own(model, folder, session.study.training.rounds + 1, session.study.federation.strategy)
    return EvaluateReply(site=session.site.id, evaluation=_evaluate(session, test))


def _evaluate(session: Session, test: Patients) -> dict[str, Statistic]:
    """Mergeable statistics on test patients; nothing when they are too few or the site keeps them to itself.

    Too few is also a single class (or deaths, or survivors) with fewer than `min_patients`, since counts by class are
    part of the statistics.
    """
    terms = session.site.disclosure
    cells = np.bincount(session.data.strata[session.data.test])
    if not terms.evaluation or not len(test) or cells[cells > 0].min() < terms.min_patients:
        return {}
    model = warm_model(session.study_json, session.device)
    scored = score_patients(predict(model, test, session.study), test, session.study)
    return Statistics.of(scored).to_record()


def _statistics(order: Order) -> GeneStatistics | None:
    """The gene statistics of this run, checked against the hash that the round was announced with."""
    if order.gene_statistics is None:
        return None
    table = np.ascontiguousarray(order.gene_statistics, dtype=np.float64)
    if sha256_bytes(table.tobytes()) != order.gene_stats_sha256:
        raise Refused("STATISTICS_MISMATCH", "expected the announced gene statistics, got others; start the run again")
    return GeneStatistics(table)
