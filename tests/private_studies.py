"""Small studies with privacy on, and one message to one hospital's ClientApp."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from flwr.app import Context, Message, RecordDict

import client.app
from shared.messages import CODES, HandshakeReply, Order, TrainReply
from shared.study import Study
from shared.weights import new_model, take_arrays
from tests.federation import CONTENT, tiny_study

TERMS: dict[str, Any] = {
    "mode": "local",
    "epsilon": 4.0,
    "delta": 1e-5,
    "sample_rate": 0.25,
    "steps_per_round": 4,
    "expected_batch": 4.0,
}


def private_study(*, rounds: int = 3, **sections: Mapping[str, Any]) -> Study:
    """The tiny study under `local` privacy, epsilon 4 for the whole run."""
    privacy = {**TERMS, **sections.pop("privacy", {})}
    training = {**CONTENT["training"], "rounds": rounds, **sections.pop("training", {})}
    return tiny_study(privacy=privacy, training=training, **sections)


def ask(file: Path, study: Study, order: Order, kind: str = "train", *, run: int = 1, site: str = "") -> Message:
    """Send one order to the ClientApp of a site file; its log lines are swallowed."""
    text = base64.b64encode(study.canonical().encode()).decode()
    context = Context(
        run_id=run,
        node_id=1,
        node_config={"site": site or file.parent.name, "site-file": str(file)},
        state=RecordDict(),
        run_config={"study": text, "digest": study.digest},
        series_id=1,
    )
    message = Message(order.content(), 1, kind)
    message.metadata.__dict__["_message_id"] = "m1"
    with structlog.testing.capture_logs():
        return client.app.app(message=message, context=context)


def train_order(study: Study, round_: int = 1, **fields: Any) -> Order:
    """A round's order with the model's initial weights."""
    return Order(study.digest, take_arrays(new_model(study)), round=round_, learning_rate=0.05, **fields)


def greet(file: Path, study: Study, *, run: int = 1, **fields: Any) -> HandshakeReply:
    """Shake hands with the site, as every run begins."""
    return HandshakeReply.read(ask(file, study, Order(study.digest, **fields), "query.handshake", run=run))


def trained(file: Path, study: Study, round_: int = 1, *, run: int = 1, **fields: Any) -> TrainReply:
    """The site's answer to one round."""
    return TrainReply.read(ask(file, study, train_order(study, round_, **fields), run=run))


def code(reply: Message) -> str:
    """The code of a refusal."""
    assert reply.has_error()
    assert reply.error.reason in CODES
    return str(reply.error.reason)
