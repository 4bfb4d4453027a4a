"""One wave over a Grid that loses, delays and breaks messages."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from flwr.app import Error, Message, RecordDict

import server.exchange
from server.exchange import Rejected, Wave, exchange, online_sites
from shared.errors import LinkError
from shared.messages import Malformed, Order

pytestmark = pytest.mark.usefixtures("flower_ids")


class PostBox:
    """What `exchange` needs of a Grid: node 1 answers at once, others as a test says."""

    def __init__(self, late: dict[int, int] | None = None, lost: frozenset[int] = frozenset()) -> None:
        self.late, self.lost = dict(late or {}), lost  # node -> pulls until it answers
        self.sent: list[Message] = []
        self.errors: dict[int, str] = {}

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        (message,) = messages
        node = message.metadata.dst_node_id
        message.metadata.__dict__["_message_id"] = f"m{node}"
        self.sent.append(message)
        return [] if node in self.lost else [f"m{node}"]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        (message,) = [m for m in self.sent if m.metadata.message_id in message_ids]
        node = message.metadata.dst_node_id
        self.late[node] = self.late.get(node, 0) - 1
        if self.late[node] >= 0:
            return []
        if node in self.errors:
            return [Message(Error(code=2, reason=self.errors[node]), reply_to=message)]
        return [Message(RecordDict(), reply_to=message)]


def wave(box: Any, accept: Any = lambda site, message: f"from {site}", deadline_s: float = 5.0) -> Wave[str]:
    nodes = {"A": 1, "B": 2, "C": 3}
    return exchange(
        box, nodes, dict.fromkeys(nodes, Order("d", round=7)), "train", accept, deadline_s=deadline_s, poll_s=0
    )


def refused(exc: Exception) -> Any:
    def accept(site: str, message: Message) -> str:
        if site == "B":
            raise exc
        return site

    return accept


def test_every_reply_is_taken() -> None:
    box = PostBox(late={1: 3, 3: 1})
    assert wave(box) == Wave({"B": "from B", "C": "from C", "A": "from A"}, {})
    assert {message.metadata.group_id for message in box.sent} == {"7"}
    assert len({id(message.content) for message in box.sent}) == 1


@pytest.mark.parametrize("exc", [Rejected("a reason"), Malformed("a reason")])
def test_a_reply_that_is_not_accepted_is_missing_with_the_reason(exc: Exception) -> None:
    assert wave(PostBox(), refused(exc)) == Wave({"A": "A", "C": "C"}, {"B": "a reason"})


def test_other_errors_are_ours_and_not_hidden() -> None:
    with pytest.raises(KeyError, match="bug"):
        wave(PostBox(), refused(KeyError("bug")))


def test_a_site_that_does_not_answer_in_time_is_missing() -> None:
    assert wave(PostBox(late={2: 10**9}), deadline_s=0.02).missing == {"B": "no reply before the deadline"}


def test_an_order_does_not_outlive_its_deadline_by_more_than_a_minute() -> None:
    box = PostBox()
    wave(box, deadline_s=5.0)
    assert {message.metadata.ttl for message in box.sent} == {65.0}


def test_an_order_that_is_not_taken_is_not_waited_for() -> None:
    assert wave(PostBox(lost=frozenset({2}))).missing == {"B": "the SuperLink did not take the order"}


def test_only_known_codes_are_repeated() -> None:
    box = PostBox()
    box.errors = {1: "NOT_APPROVED", 2: "KeyError: PATIENT-17"}
    assert wave(box).missing == {"A": "NOT_APPROVED", "B": "the site or its link failed"}


def test_online_sites_come_by_name() -> None:
    nodes = [
        SimpleNamespace(name="B", node_id=1, status="online"),
        SimpleNamespace(name="C", node_id=2, status="offline"),
        SimpleNamespace(name="A", node_id=3, status="online"),
    ]
    grid: Any = SimpleNamespace(get_nodes=lambda: nodes)
    assert list(online_sites(grid).items()) == [("A", 3), ("B", 1)]


def failing(times: int, error: Exception) -> Any:
    calls = iter([error] * times)

    def get_nodes() -> list[Any]:
        for exc in calls:
            raise exc
        return []

    return SimpleNamespace(get_nodes=get_nodes)


def status(code: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "https://link")
    return httpx.HTTPStatusError("x", request=request, response=httpx.Response(code, request=request))


def test_a_busy_superlink_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(server.exchange.time, "sleep", pauses.append)
    assert online_sites(failing(2, status(500))) == {}
    assert online_sites(failing(1, httpx.ConnectError("x"))) == {}
    assert pauses == [1, 2, 1]


def test_a_superlink_that_stays_away_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.exchange.time, "sleep", lambda _: None)
    with pytest.raises(LinkError, match="expected an answer of the SuperLink, got none in 5 attempts; see its log"):
        online_sites(failing(5, httpx.ConnectError("x")))


def test_a_request_that_the_superlink_refuses_is_not_repeated() -> None:
    with pytest.raises(LinkError, match="expected the SuperLink to take a request, got 403"):
        online_sites(failing(1, status(403)))
