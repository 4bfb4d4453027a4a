"""The ClientApp: an order comes in, the gate admits it, one function does the work, a reply goes out."""

import time
from dataclasses import replace
from pathlib import Path

import structlog
from flwr.app import Context, Error, Message
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import ClientAppCallable

from client.session import Session, admitted_session
from client.work import evaluate_model, greet, train_model
from shared.errors import Refused
from shared.messages import Malformed, Order, OtherSchema

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
    """Say what this site holds, before round 1."""
    _, session = _open(message, context)
    return Message(greet(session).content(), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Score the model received, train it for one round, send it back."""
    order, session = _open(message, context)
    started = time.perf_counter()
    reply = replace(train_model(session, order), seconds=round(time.perf_counter() - started, 3))
    return Message(reply.content(), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Score the final model."""
    order, session = _open(message, context)
    return Message(evaluate_model(session, order).content(), reply_to=message)


def _open(message: Message, context: Context) -> tuple[Order, Session]:
    """Parse the order and pass the gate; nothing of the site is read before."""
    try:
        order = Order.read(message)
    except OtherSchema as exc:
        raise Refused("VERSION_MISMATCH", f"expected an order of this version, got {exc}; update both sides") from exc
    except Malformed as exc:
        raise Refused("MESSAGE_INVALID", f"expected a whole order, got {exc}; see the coordinator's log") from exc
    session = admitted_session(
        Path(str(context.node_config["site-file"])),
        str(context.run_config.get("study", "")),
        str(context.run_config.get("digest", "")),
        order.digest,
    )
    if session.site.id != context.node_config.get("site"):
        raise Refused("SITE_MISMATCH", "expected the site file of this node, got another site's; start with --site")
    return order, session
