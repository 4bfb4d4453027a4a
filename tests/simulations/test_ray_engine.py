"""`--engine ray`: other processes, the same numbers; one sentence where it cannot be had."""

import gc
import importlib.util
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from shared.errors import BadInput, WorkFailed
from shared.study import Study
from simulations.engine import Engine, open_engine
from simulations.inline import InlineGrid
from simulations.simulate import Options, simulate

# Ray leaves /dev/null open when it ends
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
with_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (extra scale)")
TIMES = ("timing", "started", "seconds")


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """What Ray leaves open is collected here, or it would be told of the tests of another file."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[Engine]:
    """One for all tests: Ray takes seconds to start."""
    with open_engine("ray") as engine:
        yield engine


def timeless(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: timeless(value) for key, value in content.items() if key not in TIMES}
    return [timeless(value) for value in content] if isinstance(content, list) else content


@pytest.mark.slow
@with_ray
def test_both_engines_give_the_same_numbers(
    ray_engine: Engine,
    tiny_cohort: Path,
    make_study: Callable[..., Study],
    tmp_path: Path,
) -> None:
    """Bit by bit, over two repeats; SCAFFOLD's sites find in one process what they kept in another."""
    found, weights = {}, {}
    for name, engine in {"inline": InlineGrid, "ray": ray_engine}.items():
        options = Options(
            make_study(),
            cohort=str(tiny_cohort),
            arms=("federated",),
            repeats=2,
            settings=("federation.strategy=scaffold",),
            out=tmp_path / name,
            cache=tmp_path / "cache",
            engine=engine,
        )
        folder, metrics = simulate(options, lambda *_: None, lambda _: None)
        found[name], weights[name] = timeless(metrics), (folder / "model.safetensors").read_bytes()
    assert weights["ray"] == weights["inline"]
    assert found["ray"] == found["inline"]
    assert len(found["ray"]["arms"]["federated"]["rounds"]) == 3


app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    if context.node_config["site"] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    told = ConfigRecord({"site": str(context.node_config["site"]), "digest": str(context.run_config["digest"])})
    told["process"] = os.getpid()
    return Message(RecordDict({"told": told}), reply_to=message)


def orders(grid: InlineGrid, kind: str = "train") -> list[Message]:
    return [Message(RecordDict(), node.node_id, kind, group_id="3") for node in grid.get_nodes()]


def answer(grid: InlineGrid, message_id: str) -> Message:
    while not (replies := list(grid.pull_messages([message_id]))):
        pass  # each look waits for the reply that is next
    return replies[0]


@pytest.mark.slow
@with_ray
def test_every_site_is_told_its_own_config_in_another_process(ray_engine: Engine) -> None:
    sites = {f"S{number}": {"site": f"S{number}"} for number in range(9)}
    grid = ray_engine(app, sites, {"digest": "d"})
    messages = orders(grid)
    ids = list(grid.push_messages(messages))
    told = []
    for message_id in ids:
        reply = answer(grid, message_id)
        assert reply.metadata.reply_to_message_id == message_id
        told.append(dict(reply.content.config_records["told"]))
    assert [one["site"] for one in told] == list(sites)
    assert {one["digest"] for one in told} == {"d"}
    assert os.getpid() not in {one["process"] for one in told}


@pytest.mark.slow
@with_ray
def test_a_message_that_no_handler_takes_is_an_error_reply(ray_engine: Engine) -> None:
    grid = ray_engine(app, {"A": {"site": "A"}}, {"digest": "d"})
    (message_id,) = grid.push_messages(orders(grid, "evaluate"))
    reply = answer(grid, message_id)
    assert reply.has_error()
    assert reply.error.reason == "CLIENT_FAILED"


@pytest.mark.slow
@with_ray
def test_a_process_that_dies_stops_the_run(ray_engine: Engine) -> None:  # the last: the process is gone
    grid = ray_engine(app, {"killed": {"site": "killed"}}, {"digest": "d"})
    (message_id,) = grid.push_messages(orders(grid))
    with pytest.raises(WorkFailed, match="--engine ray: expected an answer of a process, got .*Died"):
        answer(grid, message_id)


@pytest.mark.slow
@with_ray
def test_a_cluster_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"127.0.0.1:{free.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        with (
            pytest.raises(WorkFailed, match=f"expected Ray to start at {address}, got: .*; check RAY_ADDRESS"),
            open_engine("ray") as engine,
        ):
            engine(app, {"A": {"site": "A"}}, {"digest": "d"})


def test_without_ray_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else real(name))
    with (
        pytest.raises(BadInput, match=r"--engine ray: expected Ray, got none; run `pip install 'flwr\[simulation\]'`"),
        open_engine("ray"),
    ):
        pass


def test_an_engine_that_there_is_not() -> None:
    with (
        pytest.raises(BadInput, match="--engine: expected one of inline, ray, got 'spark'; choose one of them"),
        open_engine("spark"),
    ):
        pass
