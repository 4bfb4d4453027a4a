"""The accepted updates of one round, in site order; large ones wait on disk until they are added up."""

import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from flwr.app import Message

from server.exchange import Rejected
from shared.errors import WorkFailed
from shared.messages import EvaluateReply, Statistic, TrainReply, branch_of
from shared.metrics import Statistics
from shared.weights import Arrays

__all__ = ["Updates", "check_evaluation", "check_update", "parse_evaluation"]

MAX_GROWTH = 100.0  # an honest round never multiplies the model's norm by this
MEMORY = 256 * 2**20  # bytes of updates kept in memory a round; the rest waits on disk


@dataclass(frozen=True)
class Waiting:
    """One site's update: in memory, or the file it waits in."""

    reply: TrainReply
    file: Path | None


class Updates:
    """Updates of one round. Iteration is by site name, so that sums do not depend on who answered first."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._bytes = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> "Updates":
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, reply: TrainReply) -> None:
        """Keep one accepted update."""
        size = sum(array.nbytes for array in reply.arrays.values())
        if self._bytes + size <= MEMORY:
            self._bytes += size
            self._waiting[reply.site] = Waiting(reply, None)
            return
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="mmfed-round-")
        file = Path(self._folder.name) / f"{reply.site}.safetensors"
        save_file(dict(reply.arrays), file)
        self._waiting[reply.site] = Waiting(replace(reply, arrays={}), file)

    @property
    def replies(self) -> list[TrainReply]:
        """Everything but the arrays, in site order."""
        return [self._waiting[site].reply for site in sorted(self._waiting)]

    def arrays(self) -> Iterator[tuple[TrainReply, Mapping[str, NDArray[np.generic]]]]:
        """Each site's reply and arrays, one site in memory at a time."""
        for site in sorted(self._waiting):
            waiting = self._waiting[site]
            yield waiting.reply, waiting.reply.arrays if waiting.file is None else load_file(waiting.file)


def check_update(reply: TrainReply, site: str, round_: int, held: frozenset[str], current: Arrays) -> TrainReply:
    """Accept a reply only if it is what was asked for.

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
    if set(reply.patients) != held | {"fusion"} or min(reply.patients.values()) < 1:
        raise Rejected("expected a patient count of at least 1 for each held branch, got others")
    if max(reply.patients.values()) > reply.patients["fusion"]:
        raise Rejected("expected no branch with more patients than the site has, got one")
    squares, before = 0.0, 0.0
    for name, array in reply.arrays.items():
        now = current[name]
        if array.shape != now.shape or array.dtype != now.dtype:
            raise Rejected(f"{name}: expected {now.dtype} {now.shape}, got {array.dtype} {array.shape}")
        squares += float(np.vdot(array, array))
        before += float(np.vdot(now, now))
    if not math.isfinite(squares):
        raise Rejected("expected finite values, got NaN or infinity")
    if math.sqrt(squares) > MAX_GROWTH * (1.0 + math.sqrt(before)):
        raise Rejected(f"expected a norm of at most {MAX_GROWTH:g} times the model's, got {math.sqrt(squares):.3g}")
    return reply


def check_evaluation(evaluation: Mapping[str, Statistic]) -> None:
    """Rejected when statistics came that cannot be added up; a site may withhold them altogether."""
    if not evaluation:
        return
    try:
        Statistics.from_record(evaluation)
    except (WorkFailed, KeyError) as exc:
        raise Rejected("expected evaluation counts of this task, got others") from exc


def parse_evaluation(site: str, message: Message) -> EvaluateReply:
    """Parse and check one closing evaluation."""
    reply = EvaluateReply.read(message)
    if reply.site != site:
        raise Rejected(f"expected a reply of {site}, got another site's name")
    check_evaluation(reply.evaluation)
    return reply
