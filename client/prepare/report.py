"""prepare-report.csv: every input of a site, what became of it and why. The one file that names patients by case_id."""

import csv
from collections import Counter
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Literal

from shared.cohort.store_files import replacing

__all__ = ["Coverage", "PrepareReport", "ReportRow", "State"]

State = Literal["used", "noted", "left out"]
"""`used`: in the store. `noted`: nothing is lost, but worth knowing. `left out`: an input that is not in the store."""

STATES: dict[str, State] = {"used": "used", "noted": "noted", "left out": "left out"}


@dataclass(frozen=True)
class ReportRow:
    """One input. `key` and `case_id` are empty where a row is about a whole file."""

    key: str
    case_id: str
    file: str
    state: State
    reason: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Coverage:
    """How much of what a study asks for was found: genes of a group, patients with an analyte."""

    modality: str
    name: str
    found: int
    total: int


@dataclass
class PrepareReport:
    """What `prepare` did at one site."""

    store: Path
    rows: list[ReportRow] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)
    reused: bool = False  # the store was there already and fits

    @property
    def left_out(self) -> int:
        """Inputs that are not in the store; above 0 the command ends with exit code 3."""
        return self.counts["left out"]

    @property
    def counts(self) -> Counter[str]:
        """State -> number of inputs."""
        return Counter(row.state for row in self.rows)

    def lines(self) -> list[str]:
        """The outcome as plain text that names no patient: counts, then the reasons for what was left out."""
        counts = self.counts
        head = ", ".join(f"{counts[state]} {state}" for state in STATES)
        reasons = Counter(row.reason for row in self.rows if row.state == "left out" and row.key)
        lines = [
            "feature store reused, nothing had changed" if self.reused else "feature store written",
            f"inputs: {head}",
        ]
        return lines + [f"  {count} x {reason}" for reason, count in sorted(reasons.items())]

    def add(
        self, file: str, state: State, reason: str, *, key: str = "", case_id: str = "", seconds: float = 0.0
    ) -> None:
        """Append one row."""
        self.rows.append(ReportRow(key, case_id, file, state, reason, round(seconds, 3)))

    def cover(self, modality: str, name: str, found: int, total: int) -> None:
        """Record how much of `name` (a gene group, an analyte) this site has."""
        self.coverage.append(Coverage(modality, name, found, total))

    def write(self, path: Path) -> None:
        """Write the rows as CSV."""
        with replacing(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([column.name for column in fields(ReportRow)])
            writer.writerows(astuple(row) for row in self.rows)

    @classmethod
    def read(cls, path: Path, store: Path) -> "PrepareReport":
        """Read what `write` wrote, as the report of a store that was reused."""
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                ReportRow(
                    row["key"], row["case_id"], row["file"], STATES[row["state"]], row["reason"], float(row["seconds"])
                )
                for row in csv.DictReader(file)
            ]
        return cls(store, rows, reused=True)
