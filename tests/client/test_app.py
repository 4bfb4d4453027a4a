"""The ClientApp: the gate first, work second, and of an error a code only."""

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from flwr.app import Context, Message, RecordDict

import client.app
import client.work
from client.approvals import revoke
from client.local_state import own_folder, read_local, write_local
from shared.errors import Refused
from shared.messages import CODES, HandshakeReply, Order
from shared.study import Study
from tests.federation import prepared_site, tiny_study, wire_bytes, write_site

pytestmark = pytest.mark.usefixtures("flower_ids")
STUDY = tiny_study()
FAKE = "PATIENT-B-0815"


def context_of(file: Path, study: Study = STUDY, site: str = "B") -> Context:
    text = base64.b64encode(study.canonical().encode()).decode()
    return Context(
        run_id=1,
        node_id=1,
        node_config={"site": site, "site-file": str(file)},
        state=RecordDict(),
        run_config={"study": text, "digest": study.digest},
        series_id=1,
    )


def ask(context: Context, kind: str = "query.handshake", content: RecordDict | None = None) -> Message:
    """Send one message to the app; its log lines are swallowed."""
    order = Message(Order(STUDY.digest).content() if content is None else content, 1, kind)
    order.metadata.__dict__["_message_id"] = "m1"
    with structlog.testing.capture_logs():
        return client.app.app(message=order, context=context)


def code(reply: Message) -> str:
    assert reply.has_error()
    assert reply.error.reason in CODES
    return str(reply.error.reason)


def test_a_site_says_what_it_holds_in_buckets(sites: dict[str, Path]) -> None:
    greeting = HandshakeReply.read(ask(context_of(sites["B"])))
    assert (greeting.site, greeting.version, greeting.encoders) == ("B", "0.1.0", {})
    assert greeting.buckets == {"expression": "10-19", "clinical": "10-19", "fusion": "10-19"}
    assert STUDY.modalities.expression is not None
    assert greeting.genes_sha256 == STUDY.modalities.expression.genes_sha256


def test_the_context_keeps_nothing(sites: dict[str, Path]) -> None:
    context = context_of(sites["B"])
    ask(context)
    assert list(context.state) == []


def test_a_new_run_finds_nothing_of_an_older_one_though_its_first_rounds_are_missed(tmp_path: Path) -> None:
    file = write_site(tmp_path / "B", (8, 8, 8))
    own = own_folder(prepared_site(file, STUDY), STUDY.digest)
    write_local(own, "layers", 3, {"w": np.ones(2, np.float32)})
    assert not ask(context_of(file)).has_error()
    assert read_local(own, "layers", STUDY.training.rounds + 1) == {}


def test_another_sites_file_is_refused(sites: dict[str, Path]) -> None:
    assert code(ask(context_of(sites["B"], site="A"))) == "SITE_MISMATCH"


def test_an_order_of_another_version_is_refused(sites: dict[str, Path]) -> None:
    content = Order(STUDY.digest).content()
    content["config"]["schema"] = 2
    assert code(ask(context_of(sites["B"]), content=content)) == "VERSION_MISMATCH"


@pytest.mark.parametrize("missing", ["config", "digest", "round"])
def test_an_order_without_its_fields_is_no_other_version(sites: dict[str, Path], missing: str) -> None:
    content = Order(STUDY.digest).content()
    del (content if missing == "config" else content["config"])[missing]
    assert code(ask(context_of(sites["B"]), content=content)) == "MESSAGE_INVALID"


def test_a_study_that_is_not_approved_is_refused(sites: dict[str, Path]) -> None:
    other = tiny_study(training={"rounds": 77})
    assert code(ask(context_of(sites["B"], other), content=Order(other.digest).content())) == "NOT_APPROVED"


def test_a_revoked_study_is_refused_from_the_next_message_on(tmp_path: Path) -> None:
    file = write_site(tmp_path / "B", (8, 8, 8))
    site = prepared_site(file, STUDY)
    assert not ask(context_of(file)).has_error()
    revoke(site, STUDY.digest)
    assert code(ask(context_of(file))) == "NOT_APPROVED"


def test_gene_statistics_that_were_changed_on_the_way_are_refused(sites: dict[str, Path]) -> None:
    order = Order(STUDY.digest, gene_statistics=np.ones((2, 5)), gene_stats_sha256="0" * 64, round=1, learning_rate=0.1)
    assert code(ask(context_of(sites["B"]), "train", order.content())) == "STATISTICS_MISMATCH"


@pytest.mark.parametrize(
    ("kind", "function"),
    [("query.handshake", "greet"), ("train", "train_model"), ("evaluate", "evaluate_model")],
)
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError(f"no grade for {FAKE}"), "CLIENT_FAILED"),
        (KeyError(FAKE), "CLIENT_FAILED"),
        (MemoryError(FAKE), "CLIENT_FAILED"),
        (Refused("NO_PATIENTS", f"only {FAKE} is left"), "NO_PATIENTS"),
    ],
)
def test_the_text_of_an_error_never_leaves(
    sites: dict[str, Path], monkeypatch: pytest.MonkeyPatch, kind: str, function: str, error: Exception, expected: str
) -> None:
    def broken(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(client.work, function, broken)
    reply = ask(context_of(sites["B"]), kind)
    assert code(reply) == expected
    assert FAKE.encode() not in wire_bytes(reply)
    assert str(sites["B"]).encode() not in wire_bytes(reply)


def test_the_text_stays_in_the_sites_own_log(sites: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise Refused("NO_PATIENTS", "a full sentence for the hospital")

    monkeypatch.setattr(client.work, "greet", broken)
    order = Message(Order(STUDY.digest).content(), 1, "query.handshake")
    with structlog.testing.capture_logs() as logs:
        client.app.app(message=order, context=context_of(sites["B"]))
    assert logs == [
        {
            **{"event": "refused", "log_level": "warning", "site": "B"},
            **{"code": "NO_PATIENTS", "reason": "a full sentence for the hospital"},
        }
    ]


def test_a_missing_site_file_is_no_more_than_a_failure(sites: dict[str, Path], tmp_path: Path) -> None:
    assert code(ask(context_of(tmp_path / "gone.toml"))) == "CLIENT_FAILED"


@pytest.mark.slow
def test_no_message_waits_for_what_detection_alone_needs() -> None:
    """Every message of a deployment is answered by a new process, and torchvision is two of its five seconds."""
    check = (
        "import sys, client.app; print([name for name in ('torchvision', 'opacus', 'sklearn') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout == "[]\n"
