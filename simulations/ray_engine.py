"""`--engine ray`: the deployment's apps over Flower's Ray backend, on all cores, GPUs or machines.

Flower's own simulation (flwr.simulation.run_simulation) tells a ClientApp no more of its node than a partition number
and takes no run config. So only its RayBackend is used, which sends one message and one Context to a process: the
Context here carries the site's own node config, as a SuperNode's would. Everything else is the in-process Grid's.

A process starts on this machine for every core. With RAY_ADDRESS set, the processes are those of that cluster; every
machine of it must see the same checkout and the same folders under the same paths.
"""

import importlib.util
import logging
import os
import socket
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache, partial
from typing import TYPE_CHECKING
from uuid import uuid4

import torch
from flwr.app import Error, Message
from flwr.clientapp import ClientApp
from flwr.clientapp.client_app import ClientAppException

from client.session import forget_sessions
from shared.errors import WorkFailed
from shared.logs import configure_logs
from simulations.inline import InlineGrid

if TYPE_CHECKING:
    from flwr.server.superlink.fleet.vce.backend.raybackend import RayBackend

__all__ = ["RayEngine", "RayGrid", "ray_fault"]

SITES_PER_GPU = 4  # at a time
AHEAD = 2  # messages a process that are under way or answered; the others wait, so that replies do not pile up
KNOCK_S = 10.0
LOOK_S = 1.0  # how long a pull waits for the reply that is next


def ray_fault() -> str:
    """A sentence where Ray is not installed, "" where it is."""
    if importlib.util.find_spec("ray") is not None:
        return ""
    return "--engine ray: expected Ray, got none; run `pip install 'flwr[simulation]'`, or leave --engine out"


class RayEngine:
    """Processes that run ClientApps, started with the first Grid and kept for the next.

    Raises
    ------
    WorkFailed
        Ray did not start, or a cluster was named that does not answer.
    """

    def __init__(self) -> None:
        self._backend: RayBackend | None = None

    def __call__(
        self, app: ClientApp, node_configs: Mapping[str, Mapping[str, str]], run_config: Mapping[str, str]
    ) -> "RayGrid":
        """A Grid of these sites. Use one at a time, as with InlineGrid."""
        if self._backend is None:
            self._backend = _started()
        return RayGrid(self._backend, app, node_configs, run_config)

    def close(self) -> None:
        """End the processes."""
        if self._backend is not None:
            self._backend.terminate()
            self._backend = None


def _started() -> "RayBackend":
    """Flower's backend with its processes."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray will do, and warns of until then
    from flwr.server.superlink.fleet.vce.backend.raybackend import RayBackend

    where = os.environ.get("RAY_ADDRESS", "")
    gpu = 1 / SITES_PER_GPU if torch.cuda.is_available() else 0.0
    path = os.environ.get("PYTHONPATH")
    try:
        _knock(where)
        backend = RayBackend(
            {
                "init_args": {"logging_level": logging.WARNING, "log_to_driver": True},
                "client_resources": {"num_cpus": 1, "num_gpus": gpu},
                "actor": {"tensorflow": 0},
            }
        )
        backend.build(_nothing)  # every message brings its own app
    except (ConnectionError, OSError, RuntimeError, ValueError) as exc:
        raise WorkFailed(
            f"--engine ray: expected Ray to start{f' at {where}' if where else ''}, got: {exc}; "
            f"{'check RAY_ADDRESS' if where else 'free some memory'}, or leave --engine out"
        ) from exc
    finally:  # Flower adds this process's path to it
        if path is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = path
    return backend


def _knock(address: str) -> None:
    """OSError when nobody listens at `host:port`: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()


def _nothing() -> ClientApp:
    raise NotImplementedError("an app comes with every message")


def _ready(app: ClientApp, threads: int, grid: str) -> ClientApp:
    """`app`, in a process of Ray's that is set up for this Grid."""
    _set_up(threads, grid)
    return app


@lru_cache(maxsize=1)
def _set_up(threads: int, _grid: str) -> None:
    """Once a Grid: compute with as many threads as the process that started Ray, and forget the last Grid's sites.

    Another number of threads adds up in another order: the last bits would differ from the in-process engine's.
    """
    torch.set_num_threads(threads)
    forget_sessions()
    configure_logs(level=logging.WARNING)
    logging.getLogger("flwr").setLevel(logging.ERROR)  # it warns when it ends as it should


class RayGrid(InlineGrid):
    """The in-process Grid, whose messages are answered by other processes.

    Replies come in the order of the messages, whoever finishes first, and no more than AHEAD times the processes are
    under way: a coordinator that adds up as it reads holds few replies at a time.
    """

    def __init__(
        self,
        backend: "RayBackend",
        app: ClientApp,
        node_configs: Mapping[str, Mapping[str, str]],
        run_config: Mapping[str, str],
    ) -> None:
        numbered = {
            site: {**config, "partition-id": str(place)} for place, (site, config) in enumerate(node_configs.items())
        }
        super().__init__(app, numbered, run_config)
        self._backend = backend
        backend.app_fn = partial(_ready, app, torch.get_num_threads(), uuid4().hex)
        self._threads = ThreadPoolExecutor(backend.num_workers)
        self._under_way: dict[str, Future[Message]] = {}

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Start on the messages, as many as there are processes for."""
        ids = super().push_messages(messages)
        self._start()
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Replies that are there; waits a moment for one whose turn it is.

        Raises
        ------
        WorkFailed
            A process of Ray's died, as it does when memory runs out.
        """
        replies = []
        for message_id in message_ids:
            future = self._under_way.get(message_id)
            if future is None:
                continue
            if message_id == next(iter(self._under_way)):
                wait([future], timeout=LOOK_S)
            if future.done():
                del self._under_way[message_id]
                self._start()
                replies.append(future.result())
        return replies

    def _start(self) -> None:
        while self._waiting and len(self._under_way) < AHEAD * self._backend.num_workers:
            message_id = next(iter(self._waiting))
            self._under_way[message_id] = self._threads.submit(self._answered, self._waiting.pop(message_id))

    def _answered(self, message: Message) -> Message:
        try:
            reply, _ = self._backend.process_message(message, self._contexts[message.metadata.dst_node_id])
            return reply
        except ClientAppException:  # what Flower raises for a message that no handler takes
            return Message(Error(code=2, reason="CLIENT_FAILED"), reply_to=message)
        except Exception as exc:
            raise WorkFailed(
                f"--engine ray: expected an answer of a process, got {type(exc).__name__}; run again with the same "
                "--out, which goes on from the last finished round, with more memory if that ran out"
            ) from exc
