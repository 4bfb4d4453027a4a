"""Small privacy ledgers, and what can be done to one behind its back."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from shared.privacy.budget import Budget, Policy
from shared.privacy.ledger import FILE, Ledger
from shared.privacy.terms import Terms

__all__ = ["ROOT", "budget_in", "charge", "drop_triggers", "python", "tampered", "terms"]

ROOT = Path(__file__).parents[1]


def terms(sigma: float = 8.0, sample_rate: float = 1.0, steps: int = 1) -> Terms:
    """A round whose epsilon takes no time to compute: every patient in every step."""
    return Terms("local", 4.0, 1e-5, 1.0, sigma, sample_rate, steps, 16.0, 30, "auto", "chacha20")


def budget_in(folder: Path, cap: float = 4.0, delta: float = 1e-5, site: str = "A", approver: str = "dpo") -> Budget:
    """The budget of the ledger in `folder`."""
    return Budget(Ledger.open(folder, site), Policy(cap, delta, approver))


def charge(budget: Budget, round_: int = 1, asked: Terms | None = None, run: str = "1", **changed: Any) -> int:
    """Number of the entry by which a round is charged."""
    fields: dict[str, Any] = {"digest": "d" * 64, "task": "survival", "fold": "0.0", "cohort": 0} | changed
    return budget.charge(asked or terms(), run=run, round_=round_, **fields).seq


def drop_triggers(base: sqlite3.Connection) -> None:
    """What an intruder must do first."""
    for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        base.execute(f"DROP TRIGGER {name}")


def tampered(folder: Path, statement: str, *values: object) -> None:
    """Run one statement on the ledger in `folder` without its triggers."""
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as base:
        drop_triggers(base)
        base.execute(statement, values)


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs `code` with `arguments` in sys.argv."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
