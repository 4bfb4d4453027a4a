"""The ClientApp: an order comes in, the gate admits it, one function does the work, a reply goes out."""

import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import structlog
from flwr.app import Context, Error, Message
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import ClientAppCallable

from client import work
from client.detection.session import DetectionSession
from client.disclosed import disclose_evaluation, disclose_greeting, disclose_plain, refuse_early_evaluation
from client.local_state import drop_local, own_folder
from client.received_models import receive_model
from client.session import Admitted, Session, admitted_study, open_session
from shared.errors import Refused
from shared.messages import EvaluateReply, HandshakeReply, Malformed, OfferReply, Order, OtherSchema, TrainReply
from shared.study_lint import privacy_faults

__all__ = ["app"]

log = structlog.get_logger()


def scrub_errors(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Outermost mod: of an error only a fixed code leaves the site; its text stays in the site's own log."""
    try:
        return call_next(message, context)
    except Refused as exc:
        log.warning("refused", code=exc.code, reason=str(exc), site=str(context.node_config.get("site", "")))
        return Message(Error(code=2, reason=exc.code), reply_to=message)
    except Exception:  # the boundary: whatever happened, the coordinator learns no more than that it did
        log.exception("message failed", site=str(context.node_config.get("site", "")))
        return Message(Error(code=2, reason="CLIENT_FAILED"), reply_to=message)


app = ClientApp(mods=[scrub_errors])


@app.query("handshake")
def handshake(message: Message, context: Context) -> Message:
    """Say what this site holds, before its first round of a run; what an older run left of its rounds is dropped."""
    order, admitted = _admit(message, context)
    faults = privacy_faults(admitted.study, simulated=admitted.own is not None)
    if faults:
        raise Refused("PRIVACY_REFUSED", "; ".join(faults))
    session = open_session(admitted)
    drop_local(admitted.own or own_folder(session.site, order.digest))
    greeting: HandshakeReply = _work(session).greet(session)
    head = disclose_greeting(admitted, session, order, _run(context))
    return Message(replace(greeting, head=head).content(), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Score the model received, train it for one round, send it back; with privacy on, charge first, score nothing."""
    order, admitted = _admit(message, context)
    if admitted.study.privacy.on:
        from client.private_round import take_part_privately  # imports Opacus

        answer = take_part_privately(admitted, order, _run(context))
        _report(admitted)
        return Message(answer.content(), reply_to=message)
    disclose_plain(admitted, _run(context))
    session, started = open_session(admitted), time.perf_counter()
    reply: TrainReply = _work(session).train_model(session, order, admitted.own)
    return Message(replace(reply, seconds=round(time.perf_counter() - started, 3)).content(), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Score the final model."""
    order, admitted = _admit(message, context)
    refuse_early_evaluation(admitted, _run(context))
    disclose_plain(admitted, _run(context))
    session = open_session(admitted)
    reply: EvaluateReply = _work(session).evaluate_model(session, order, admitted.own)
    reply = disclose_evaluation(admitted, reply, order, _run(context))
    if admitted.study.privacy.on:
        _report(admitted)
    return Message(reply.content(), reply_to=message)


@app.query("model")
def take_model(message: Message, context: Context) -> Message:
    """Keep the finished model that the coordinator offers."""
    order, admitted = _admit(message, context)
    folder = receive_model(admitted.site, admitted.study, order.files)
    log.info("model received", site=admitted.site.id, model=folder.name)
    return Message(OfferReply(admitted.site.id).content(), reply_to=message)


def _work(session: Session | DetectionSession) -> ModuleType:
    """What a site does for an order. In a deployment every message is answered by a process that imports all anew."""
    if isinstance(session, DetectionSession):
        from client.detection import work as detection  # imports torchvision: another half of a start

        return detection
    return work


def _report(admitted: Admitted) -> None:
    """Keep the site's privacy report current; of a simulated site nobody reads one."""
    if admitted.own is None:
        from client.site_report import keep_report_current  # imports the accountant

        keep_report_current(admitted.site)


def _own(context: Context) -> Path | None:
    """Where a simulation lets a site keep its own arrays: in the run folder, since many runs share its hospitals."""
    folder = str(context.node_config.get("own-folder", ""))
    return Path(folder) if folder else None


def _run(context: Context) -> str:
    """The coordinator's run, as a ledger names it."""
    return str(context.run_id)


def _admit(message: Message, context: Context) -> tuple[Order, Admitted]:
    """Parse the order and pass the gate; nothing of the site's data is read before, or here."""
    try:
        order = Order.read(message)
    except OtherSchema as exc:
        raise Refused("VERSION_MISMATCH", f"expected an order of this version, got {exc}; update both sides") from exc
    except Malformed as exc:
        raise Refused("MESSAGE_INVALID", f"expected a whole order, got {exc}; see the coordinator's log") from exc
    admitted = admitted_study(
        Path(str(context.node_config["site-file"])),
        str(context.run_config.get("study", "")),
        str(context.run_config.get("digest", "")),
        order.digest,
        _own(context),
    )
    if admitted.site.id != context.node_config.get("site"):
        raise Refused("SITE_MISMATCH", "expected the site file of this node, got another site's; start with --site")
    return order, admitted
