"""One round under a privacy budget. The order of its steps is the promise.

1. the echoed ledger head, the round's number and the lint are checked;
2. a round that was released before is sent again, the same bytes, free of charge;
3. the whole round is projected and charged in one durable transaction, or refused;
4. only now are patients read, and the model trained;
5. what will be sent is stored, its hash is written into the ledger, a head is signed;
6. it is sent.

A process that is killed after 3 has spent the charge: asked again, the site charges again and draws fresh noise.
"""

import json
from pathlib import Path

import structlog

from client.disclosed import record_cohort
from client.local_layers import keep_own, take_up_own
from client.local_state import own_folder, read_round, write_local
from client.prepare.settings import PrepareSettings, store_folder
from client.private_training import train_privately
from client.session import Admitted, Session, open_session, warm_model
from client.site_ledger import open_budget
from shared.digests import sha256_bytes
from shared.errors import Refused
from shared.messages import Order, TrainReply
from shared.privacy.budget import Budget
from shared.privacy.ledger import Entry
from shared.seeds import derive_seed
from shared.study import Study
from shared.study_lint import privacy_faults
from shared.weights import Arrays, load_arrays, take_arrays, trainable

__all__ = ["take_part_privately"]

log = structlog.get_logger()
MOST_HEADS = 200_000  # characters, about 2,000 sites
STORED = "released"  # name of what was sent, in the folder of the site's own arrays


def take_part_privately(admitted: Admitted, order: Order, run: str) -> TrainReply:
    """Train one round of a study with differential privacy, or send again what was already released.

    Parameters
    ----------
    run
        The coordinator's run, by which rounds are told apart.

    Raises
    ------
    Refused
        HEAD_INVALID, LEDGER_ROLLED_BACK, ROUND_INVALID, PRIVACY_REFUSED, NOT_PREPARED or BUDGET_EXCEEDED: no patient
        has been read. Later errors leave the charge standing.
    """
    study, site, terms = admitted.study, admitted.site, admitted.study.terms
    assert terms is not None
    budget, seen = open_budget(site, study, admitted.own), _seen(order.heads)
    budget.check_echo(order.echo_head)
    _refuse_round(budget, study, order, run)
    folder = admitted.own or own_folder(site, study.digest)
    arrays = _released_before(budget, folder, order, run)
    if arrays is None:
        cohort = _cohort(budget, admitted)
        _refuse_faults(budget, study, cohort, run, order.round, simulated=admitted.own is not None)
        task = study.task.kind
        fold = f"{study.split.repeat}.{study.split.fold}"
        charge = budget.charge(
            terms, digest=study.digest, run=run, round_=order.round, task=task, fold=fold, cohort=cohort.seq
        )
        try:
            session = open_session(admitted)
            assert isinstance(session, Session)
            record_cohort(budget, session)  # features may have been prepared anew since the handshake
            arrays = _train(session, order, folder)
            _release(budget, folder, order.round, charge, arrays)
        except Exception as exc:  # whatever it was, the charge stands, and the ledger says that nothing left
            budget.abort(charge.seq, getattr(exc, "code", "CLIENT_FAILED"))
            raise
    head = budget.export(digest=study.digest, run=run, round_=order.round, seen=seen)
    return TrainReply(
        site=site.id,
        round=order.round,
        arrays=arrays,
        patients={},
        steps=terms.steps_per_round,
        loss_sum=None,
        evaluation={},
        head=head.text(),
        charges=budget.charges(study.digest, run),
    )


def _refuse_faults(budget: Budget, study: Study, cohort: Entry, run: str, round_: int, *, simulated: bool) -> None:
    """Lint again, at the last moment: what was approved may have been approved by an older version."""
    faults = privacy_faults(study, str(cohort.body["bucket"]), int(cohort.body["duplicates"]), simulated=simulated)
    if faults:
        budget.refuse("PRIVACY_REFUSED", digest=study.digest, run=run, round=round_)
        raise Refused("PRIVACY_REFUSED", "; ".join(faults))


def _refuse_round(budget: Budget, study: Study, order: Order, run: str) -> None:
    """Rounds run from 1 to the approved study's last one and never back."""
    latest = budget.latest_round(study.digest, run)
    if not max(latest, 1) <= order.round <= study.training.rounds:
        budget.refuse("ROUND_INVALID", digest=study.digest, run=run, round=order.round)
        raise Refused(
            "ROUND_INVALID",
            f"expected a round from {max(latest, 1)} to {study.training.rounds} of the approved study, got "
            f"{order.round}; ask the coordinator what it is doing",
        )


def _released_before(budget: Budget, folder: Path, order: Order, run: str) -> Arrays | None:
    """What this round was answered with before, if it is still there, whole; sending it again costs nothing."""
    charge = budget.charged(order.digest, run, order.round)
    release = budget.released(charge.seq) if charge else None
    arrays = read_round(folder, STORED, order.round) if release else None
    if release is None or arrays is None or _hash(arrays) != release.body["sha256"]:
        return None
    log.info("round sent again", round=order.round, charge=release.body["charge"])
    return arrays


def _cohort(budget: Budget, admitted: Admitted) -> Entry:
    """The patients that the handshake answered for, of this study's feature store."""
    folder = store_folder(admitted.site, PrepareSettings.of(admitted.study))
    found = [entry for entry in budget.ledger.entries("cohort") if entry.body["cohort"] == folder.name]
    if not found or not (folder / "manifest.json").is_file():
        raise Refused(
            "NOT_PREPARED",
            f"expected a feature store and a handshake of site {admitted.site.id} before its first private round, got "
            "none; run `prepare`, and let the coordinator submit the study again",
        )
    return found[-1]


def _train(session: Session, order: Order, folder: Path) -> Arrays:
    study, site = session.study, session.site
    train, _ = session.patients(None)
    model = warm_model(session.study_json, session.device)
    load_arrays(model, order.arrays)
    strategy, terms = study.federation.strategy, study.terms
    known = terms is not None and not terms.formal  # a simulation on public data, whose noise can be repeated
    take_up_own(model, folder, order.round, strategy)
    train_privately(
        model,
        trainable(model, session.held),
        train,
        study,
        learning_rate=order.learning_rate,
        proximal_mu=study.federation.strategy_options.get("proximal_mu", 0.0) if strategy == "fedprox" else 0.0,
        seed=derive_seed(order.digest, site.id, order.round) if known else None,
    )
    keep_own(model, folder, order.round, strategy, session.held)
    return {name: array.copy() for name, array in take_arrays(model, session.held).items()}


def _release(budget: Budget, folder: Path, round_: int, charge: Entry, arrays: Arrays) -> None:
    """Store what will be sent before the ledger holds its hash: bytes that are lost could not be sent again."""
    write_local(folder, STORED, round_, arrays)
    size = sum(array.nbytes for array in arrays.values())
    budget.release(charge.seq, _hash(arrays), size, {name: list(array.shape) for name, array in arrays.items()})


def _hash(arrays: Arrays) -> str:
    """SHA-256 of the exact bytes: every array as little-endian fp32, in the order of names, each with its name."""
    return sha256_bytes(b"".join(name.encode() + b"\0" + arrays[name].tobytes() for name in sorted(arrays)))


def _seen(text: str) -> dict[str, list[int | str]]:
    """The heads of other sites, as the coordinator tells them: kept under our signature, so that none can be denied."""
    try:
        if len(text) > MOST_HEADS:
            raise ValueError("too many")
        told = json.loads(text or "{}")
        return {str(key): [int(seq), str(hash_)] for key, (seq, hash_) in sorted(told.items())}
    except (ValueError, TypeError, AttributeError) as exc:
        raise Refused("MESSAGE_INVALID", "expected the heads of other sites as JSON, got something else") from exc
