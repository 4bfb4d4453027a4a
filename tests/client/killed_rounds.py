"""Kill a hospital's process at one point after the other of a private round, and ask it again (test_killed_rounds.py).

Every point is a process of its own, forked from this one, which has imported everything. Prints one JSON line: point ->
how it ended, the ledger right after, and what the next process made of it.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from flwr.supercore.task_identity import TaskIdentity

import client.private_round
import client.private_training
from client.site_ledger import open_budget, open_ledger
from shared.privacy.budget import Budget
from shared.privacy.ledger import Writer
from shared.site import read_site
from tests.private_studies import greet, private_study, trained

TaskIdentity.run_id = TaskIdentity.task_id = TaskIdentity.node_id = 1
STUDY = private_study()


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(module: Any, name: str, calls: int = 1) -> Callable[[], None]:
    """Die as the `calls`-th call of module.name begins."""

    def arm() -> None:
        real, left = getattr(module, name), [calls]

        def counted(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            return real(*args, **kwargs) if left[0] else die()

        setattr(module, name, counted)

    return arm


def inserted(kind: str) -> Callable[[], None]:
    """Die when an entry of `kind` is inserted and not yet committed."""

    def arm() -> None:
        real = Writer.append

        def append(self: Writer, written: str, **body: Any) -> Any:
            entry = real(self, written, **body)
            return die() if written == kind else entry

        Writer.append = append  # type: ignore[method-assign]

    return arm


POINTS: dict[str, Callable[[], None]] = {
    "before the lint": before(client.private_round, "privacy_faults"),
    "before the projection": before(Budget, "projected"),
    "charge inserted, not committed": inserted("charge"),
    "charged, no patient read": before(client.private_round, "open_session"),
    "patients read, not trained": before(client.private_round, "train_privately"),
    "amid the steps": before(client.private_training, "private_step", 3),
    "trained, nothing stored": before(client.private_round, "write_local"),
    "stored, not in the ledger": before(Budget, "release"),
    "release inserted, not committed": inserted("released"),
    "released, not sent": before(Budget, "export"),
}


def killed(arm: Callable[[], None], file: Path) -> int:
    """The signal that ended a process which trains round 1."""
    child = os.fork()
    if not child:
        arm()
        trained(file, STUDY)
        os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def outcome(point: str, hospital: Path, folder: Path) -> dict[str, Any]:
    shutil.copytree(hospital, folder)
    file = folder / "site.toml"
    greet(file, STUDY)
    signal_ = killed(POINTS[point], file)
    site = read_site(file)
    after = [entry.kind for entry in open_ledger(site).entries("charge", "released")]
    (stored,) = list((site.state / "rounds").rglob("released-1.safetensors")) or [None]
    before_ = stored.read_bytes() if stored else b""
    reply = trained(file, STUDY)
    (now,) = (site.state / "rounds").rglob("released-1.safetensors")
    return {
        "signal": signal_,
        "after": after,
        "charges": reply.charges,
        "epsilon": open_budget(site).spent().epsilon,
        "same bytes": now.read_bytes() == before_,
        "finite": bool(all(np.isfinite(array).all() for array in reply.arrays.values())),
        "whole": not open_ledger(site).verify().faults,
    }


hospital, scratch = Path(sys.argv[1]), Path(sys.argv[2])
sys.stdout.write(
    json.dumps({point: outcome(point, hospital, scratch / str(i) / "A") for i, point in enumerate(POINTS)}) + "\n"
)
