"""Leave a patient out from the next round on: exclude.csv in the data folder."""

import csv
import io
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from shared.cohort.drafts import replacing
from shared.cohort.sheets import read_sheet, require_columns
from shared.cohort.tables import read_clinical
from shared.errors import BadInput
from shared.site import Site

__all__ = ["exclude"]

COLUMNS = ("case_id", "date", "reason")


def exclude(site: Site, case_ids: tuple[str, ...], reason: str, *, known: Collection[str] = ()) -> tuple[str, ...]:
    """Append patients to exclude.csv; returns those that were not there yet. The rest of the file stays as it is.

    `known` are patients of this site whom clinical.tsv need not list any more. Two calls at once wait for each other.

    Raises
    ------
    BadInput
        A case_id that clinical.tsv does not list; nothing is written then.
    CohortError
        clinical.tsv or exclude.csv is malformed.
    """
    site.state.mkdir(parents=True, exist_ok=True)
    with FileLock(site.state / "exclude.lock"):
        return _exclude(site, case_ids, reason, known)


def _exclude(site: Site, case_ids: tuple[str, ...], reason: str, known: Collection[str]) -> tuple[str, ...]:
    path = site.data / "exclude.csv"
    columns, before = list(COLUMNS), set[str]()
    if path.is_file():
        sheet = read_sheet(path)
        require_columns(path, sheet, ["case_id"])
        columns, before = list(sheet.columns), set(sheet["case_id"])
    strangers = set(case_ids) - before - set(known)
    if strangers:
        strangers -= set(read_clinical(site.data)["case_id"])
    if strangers:
        raise BadInput(
            f"expected patients of clinical.tsv, got {len(strangers)} of {len(case_ids)} that it does not list; "
            "check the spelling: capitals count"
        )
    new = tuple(case_id for case_id in dict.fromkeys(case_ids) if case_id not in before)
    if new:
        _append(path, columns, new, reason)
    return new


def _append(path: Path, columns: list[str], case_ids: tuple[str, ...], reason: str) -> None:
    text = path.read_text(encoding="utf-8-sig") if path.is_file() else ",".join(columns) + "\n"
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    for case_id in case_ids:
        row = {"case_id": case_id, "date": f"{datetime.now(UTC):%Y-%m-%d}", "reason": reason}
        writer.writerow([row.get(name, "") for name in columns])
    with replacing(path) as draft:
        draft.write_text(text + ("" if text.endswith("\n") else "\n") + lines.getvalue(), encoding="utf-8")
