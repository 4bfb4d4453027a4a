"""The accepted updates of one round, in site order; large ones wait on disk until they are added up."""

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from flwr.app import Message
from numpy.typing import NDArray

from server.exchange import Rejected
from server.strategies.mean import RunningMean
from shared.errors import WorkFailed
from shared.messages import EvaluateReply, Statistic, TrainReply, branch_of
from shared.metrics import Statistics
from shared.study import ClassificationTask, Task
from shared.weights import Arrays

__all__ = ["Updates", "check_control", "check_evaluation", "check_update", "parse_evaluation"]

MAX_GROWTH = 100.0  # an honest round never multiplies the model's norm by this
MEMORY = 64 * 2**20  # bytes of updates kept in memory a round; the rest waits on disk


class Stored(Mapping[str, NDArray[np.generic]]):
    """Arrays in a folder, one file each, read when they are asked for."""

    def __init__(self, folder: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        folder.mkdir()
        self._files = {name: folder / f"{number}.npy" for number, name in enumerate(arrays)}
        for name, file in self._files.items():
            np.save(file, arrays[name])

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        array: NDArray[np.generic] = np.load(self._files[name])
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


class Updates:
    """Updates of one round, taken in by site name, so that sums do not depend on who answered first.

    With a `running` mean each update is added as soon as all sites before it were, and then let go. Otherwise, and
    for a site that answers out of turn, it waits: in memory up to MEMORY bytes, beyond that on disk.
    """

    def __init__(self, sites: Iterable[str] = (), running: RunningMean | None = None) -> None:
        self.running = running
        self._turn = sorted(sites)  # sites that are still to be added to the running mean
        self._replies: dict[str, TrainReply] = {}
        self._held: dict[str, Mapping[str, NDArray[np.generic]]] = {}
        self._controls: dict[str, Mapping[str, NDArray[np.generic]]] = {}
        self._bytes = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> "Updates":
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._held.clear()
        self._controls.clear()
        if self._folder is not None:
            self._folder.cleanup()

    def __len__(self) -> int:
        return len(self._replies)

    def add(self, reply: TrainReply) -> None:
        """Take in one accepted update; its arrays may change once this returns."""
        self._replies[reply.site] = replace(reply, arrays={}, control={})
        if reply.control:
            self._controls[reply.site] = self._kept(f"{reply.site}.control", reply.control)
        if self.running is not None and self._turn[:1] == [reply.site]:
            self.running.add(reply.patients, reply.arrays)
            del self._turn[0]
            return
        self._held[reply.site] = self._kept(reply.site, reply.arrays)

    def _kept(self, name: str, arrays: Mapping[str, NDArray[np.generic]]) -> Mapping[str, NDArray[np.generic]]:
        """A copy of `arrays`, in memory while there is room, else on disk under `name`."""
        size = sum(array.nbytes for array in arrays.values())
        if self._bytes + size <= MEMORY:
            self._bytes += size
            return {name: array.copy() for name, array in arrays.items()}
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="mmfed-round-")
        return Stored(Path(self._folder.name) / name, arrays)

    @property
    def replies(self) -> list[TrainReply]:
        """Everything but the arrays, in site order."""
        return [self._replies[site] for site in sorted(self._replies)]

    def waiting(self) -> Iterator[tuple[TrainReply, Mapping[str, NDArray[np.generic]]]]:
        """Reply and arrays of every update that was not added to the running mean yet, in site order."""
        for site in sorted(self._held):
            yield self._replies[site], self._held[site]

    def controls(self) -> Iterator[tuple[TrainReply, Mapping[str, NDArray[np.generic]]]]:
        """Reply and change of the control variate (SCAFFOLD) of every update, in site order."""
        for site in sorted(self._controls):
            yield self._replies[site], self._controls[site]


def check_update(
    reply: TrainReply, site: str, round_: int, held: frozenset[str], current: Arrays, *, private: bool = False
) -> TrainReply:
    """Accept a reply only if it is what was asked for.

    Parameters
    ----------
    private
        The study has privacy on: no count, loss or statistic of patients may come, and every site weighs 1.

    Raises
    ------
    Rejected
        Another site's name, another round, missing or extra keys, another shape or dtype, a value that is not
        finite, an implausible norm, or a patient count that no site can have.
    """
    if reply.site != site:
        raise Rejected(f"expected a reply of {site}, got another site's name")
    if reply.round != round_:
        raise Rejected(f"expected round {round_}, got {reply.round}")
    expected = {name for name in current if branch_of(name) in held or branch_of(name) == "fusion"}
    if set(reply.arrays) != expected:
        lost, extra = len(expected - set(reply.arrays)), len(set(reply.arrays) - expected)
        raise Rejected(f"expected {len(expected)} arrays, got {lost} missing and {extra} unknown keys")
    if private:
        if reply.patients or reply.loss_sum is not None or reply.evaluation:
            raise Rejected("expected no count, loss or statistic of patients under privacy, got some")
        reply = replace(reply, patients=dict.fromkeys(sorted(held | {"fusion"}), 1))
    elif reply.loss_sum is None:
        raise Rejected("expected the sum of losses, got none")
    if set(reply.patients) != held | {"fusion"} or min(reply.patients.values()) < 1:
        raise Rejected("expected a patient count of at least 1 for each held branch, got others")
    if max(reply.patients.values()) > reply.patients["fusion"]:
        raise Rejected("expected no branch with more patients than the site has, got one")
    squares, before = 0.0, 0.0
    for name, array in reply.arrays.items():
        now = current[name]
        if array.shape != now.shape or array.dtype != now.dtype:
            raise Rejected(f"{name}: expected {now.dtype} {now.shape}, got {array.dtype} {array.shape}")
        squares += _squares(array)
        before += _squares(now)
    if not math.isfinite(squares):
        raise Rejected("expected finite values, got NaN or infinity")
    if math.sqrt(squares) > MAX_GROWTH * (1.0 + math.sqrt(before)):
        raise Rejected(f"expected a norm of at most {MAX_GROWTH:g} times the model's, got {math.sqrt(squares):.3g}")
    return reply


def check_control(reply: TrainReply, expected: Mapping[str, NDArray[np.generic]]) -> None:
    """Rejected unless a change came for exactly the `expected` control variates, of their shapes and finite."""
    if set(reply.control) != set(expected):
        raise Rejected(f"expected {len(expected)} control variates, got {len(reply.control)} or others")
    for name, array in reply.control.items():
        now = expected[name]
        if array.shape != now.shape or array.dtype != now.dtype:
            raise Rejected(f"control of {name}: expected {now.dtype} {now.shape}, got {array.dtype} {array.shape}")
        if not math.isfinite(_squares(array)):
            raise Rejected("expected finite control variates, got NaN or infinity")


def _squares(array: NDArray[Any]) -> float:
    """Sum of squares; NaN or infinite as soon as one value is."""
    return float(np.vdot(array, array))


def check_evaluation(evaluation: Mapping[str, Statistic], task: Task) -> None:
    """Rejected when statistics came that are not of this task, as they could not be added to the others' ones.

    A site may withhold them altogether.
    """
    if not evaluation:
        return
    try:
        statistics = Statistics.from_record(evaluation)
    except (WorkFailed, KeyError, ValueError) as exc:
        raise Rejected("expected evaluation counts of this task, got others") from exc
    cells = len(task.classes) ** 2 if isinstance(task, ClassificationTask) else None
    if statistics.kind != task.kind or (cells and len(statistics.entries["confusion"]) != cells):
        raise Rejected("expected evaluation counts of this task, got another task's")


def parse_evaluation(site: str, message: Message, task: Task) -> EvaluateReply:
    """Parse and check one closing evaluation."""
    reply = EvaluateReply.read(message)
    if reply.site != site:
        raise Rejected(f"expected a reply of {site}, got another site's name")
    check_evaluation(reply.evaluation, task)
    return reply
