"""What leaves a site beside private model updates, written into its ledger before it leaves."""

from dataclasses import replace
from weakref import WeakKeyDictionary

from client.approvals import standing
from client.detection.session import DetectionSession
from client.prepare.settings import PrepareSettings, store_folder
from client.session import Admitted, Session
from client.site_ledger import open_budget
from shared.digests import sha256_file, sha256_json
from shared.errors import Refused
from shared.messages import EvaluateReply, Order, bucket
from shared.privacy.budget import Budget

__all__ = [
    "EVALUATION",
    "PLAIN_UPDATES",
    "SIZES",
    "disclose_evaluation",
    "disclose_greeting",
    "disclose_plain",
    "record_cohort",
    "refuse_early_evaluation",
]

SIZES = "size buckets of the training patients of each modality"
PLAIN_UPDATES = "plain model updates, patient counts, losses and test statistics of every round"
EVALUATION = "statistics of the final model on held-out test patients, who were never trained on"

RECORDED: WeakKeyDictionary[Admitted, set[str]] = WeakKeyDictionary()
"""The runs of which this process has found PLAIN_UPDATES in the ledger, for as long as the site's admission is kept."""


def disclose_greeting(admitted: Admitted, session: Session | DetectionSession, order: Order, run: str) -> str:
    """Record the patients that a handshake answers for and what it says of them; the signed head that goes with it.

    Without privacy it also records that the run's updates leave as they are, and no head goes out.
    """
    study = admitted.study
    budget = open_budget(admitted.site, study, admitted.own)
    if isinstance(session, Session):
        record_cohort(budget, session)
    if not study.privacy.on:
        disclose_plain(admitted, run)
        return ""
    budget.check_echo(order.echo_head)
    _aux(budget, admitted, run, SIZES)
    return budget.export(digest=study.digest, run=run, round_=0, seen={}).text()


def disclose_plain(admitted: Admitted, run: str) -> None:
    """Record, once a run, that what leaves it has no noise; nothing for a study with privacy on."""
    runs = RECORDED.setdefault(admitted, set())
    if admitted.study.privacy.on or run in runs:
        return
    budget = open_budget(admitted.site, admitted.study, admitted.own)
    if not _told(budget, admitted, run, PLAIN_UPDATES):
        _aux(budget, admitted, run, PLAIN_UPDATES)
    runs.add(run)


def _told(budget: Budget, admitted: Admitted, run: str, what: str) -> bool:
    """Whether the ledger has an `aux` entry of this run that says `what`."""
    wanted = (admitted.study.digest, run, what)
    bodies = (entry.body for entry in budget.ledger.entries("aux"))
    return any((body["digest"], body["run"], body["what"]) == wanted for body in bodies)


def refuse_early_evaluation(admitted: Admitted, run: str) -> None:
    """With privacy on, test statistics leave once a run, after its last round was charged and released.

    Whoever could ask again and again, with models of an own choice, could learn single patients from exact sums.

    Raises
    ------
    Refused
        ROUND_INVALID, before any patient is read.
    """
    study = admitted.study
    if not study.privacy.on:
        return
    budget = open_budget(admitted.site, study, admitted.own)
    charge = budget.charged(study.digest, run, study.training.rounds)
    released = charge is not None and budget.released(charge.seq) is not None
    if not released or _told(budget, admitted, run, EVALUATION):
        budget.refuse("ROUND_INVALID", digest=study.digest, run=run, round=study.training.rounds + 1)
        raise Refused(
            "ROUND_INVALID",
            f"expected one evaluation after round {study.training.rounds} of the run, got another or an earlier one; "
            "ask the coordinator what it is doing",
        )


def disclose_evaluation(admitted: Admitted, reply: EvaluateReply, order: Order, run: str) -> EvaluateReply:
    """Record the closing test statistics, if there are any; the reply with its signed head and the run's charges.

    Without privacy the reply stays as it is.
    """
    study = admitted.study
    if not study.privacy.on:
        return reply
    budget = open_budget(admitted.site, study, admitted.own)
    budget.check_echo(order.echo_head)
    if reply.evaluation:
        _aux(budget, admitted, run, EVALUATION)
    head = budget.export(digest=study.digest, run=run, round_=study.training.rounds + 1, seen={})
    return replace(reply, head=head.text(), charges=budget.charges(study.digest, run))


def _aux(budget: Budget, admitted: Admitted, run: str, what: str) -> None:
    found = standing(admitted.site, admitted.study.digest, budget.ledger)
    budget.ledger.append(
        "aux",
        digest=admitted.study.digest,
        run=run,
        what=what,
        mechanism="none",
        unaccounted=True,
        approver=found.person if found else "",
    )


def record_cohort(budget: Budget, session: Session) -> None:
    """One entry whenever the patients, or the features made of them, are others than before."""
    folder = store_folder(session.site, PrepareSettings.of(session.study))
    now = {
        "cohort": folder.name,
        "keys_sha256": sha256_json(sorted(session.keys)),
        "bucket": bucket(len(session.keys)),
        "duplicates": len(session.keys) - len(set(session.keys)),
        "manifest_sha256": sha256_file(folder / "manifest.json"),
        "excluded": bucket(session.data.excluded["exclude.csv"]),
    }
    last = budget.ledger.last("cohort")
    if last is None or {name: last.body[name] for name in now} != now:
        same = [entry for entry in budget.ledger.entries("cohort") if entry.body["cohort"] == folder.name]
        budget.ledger.append("cohort", version=len(same) + 1, **now)
