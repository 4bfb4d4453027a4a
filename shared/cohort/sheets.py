"""Read delimited text, gzipped or not: words or numbers, every fault named by its line."""

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from shared.errors import CohortError

__all__ = ["MISSING", "find_file", "read_matrix", "read_sheet", "refuse", "require_columns"]

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "--", "'--", "[Not Available]", "[Not Applicable]", "[Unknown]")
"""Words that stand for a missing value."""

FAULTS_SHOWN = 20


def refuse(path: Path, faults: Sequence[str]) -> None:
    """Raise one CohortError that lists the faults of a file, or nothing when there is none."""
    if not faults:
        return
    count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
    more = [f"... and {len(faults) - FAULTS_SHOWN} more"] if len(faults) > FAULTS_SHOWN else []
    raise CohortError(f"{path}: {count}\n" + "\n".join(f"  {fault}" for fault in [*faults[:FAULTS_SHOWN], *more]))


def find_file(folder: Path, *names: str) -> Path | None:
    """The first of `names` that exists in `folder`."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def require_columns(path: Path, sheet: pd.DataFrame, names: Sequence[str]) -> None:
    """CohortError unless the sheet has all the columns `names`."""
    refuse(path, [f"line 1: expected a column {n!r}, got none; add it" for n in names if n not in sheet.columns])


def read_sheet(path: Path) -> pd.DataFrame:
    """Read a table of words: every cell a stripped string, the empty string where MISSING; blank lines are skipped.

    The index holds the line number of each row (the header is line 1); columns are named by the header.

    Raises
    ------
    CohortError
        The file cannot be read or is empty, a line is ragged, a header cell is empty or stands twice.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""), delimiter=_delimiter(path), strict=True)
    lines: dict[int, list[str]] = {}  # line number -> cells
    try:
        for cells in reader:
            if any(cells):
                lines[reader.line_num] = [cell.strip() for cell in cells]
    except csv.Error as exc:
        raise CohortError(f"{path}, line {reader.line_num}: expected delimited text, got {exc}; mend the line") from exc
    if not lines:
        raise CohortError(f"{path}: expected a header line, got empty lines; write the table again")
    header = lines.pop(min(lines))
    refuse(
        path,
        [
            f"line {number}: expected {len(header)} cells, got {len(cells)}; mend the line"
            for number, cells in lines.items()
            if len(cells) != len(header)
        ]
        or _header_faults(header),
    )
    sheet = pd.DataFrame(list(lines.values()), index=list(lines), columns=header, dtype=object)
    return sheet.where(~sheet.isin(MISSING), "")


def read_matrix(path: Path) -> pd.DataFrame:
    """Read a table of numbers: float64, NaN where MISSING; index = its first column, columns = its other header cells.

    Row i of the result is line i + 2 of the file; a table may have no row or no column. Names in the first column are
    neither checked nor made distinct.

    Raises
    ------
    CohortError
        As `read_sheet`; also a cell that is no finite number.
    """
    text, delimiter = _text(path), _delimiter(path)
    lines = text.splitlines()
    header = [cell.strip() for cell in lines[0].split(delimiter)]
    lengths = [line.count(delimiter) + 1 for line in lines]
    refuse(
        path,
        [
            f"line {number}: expected {len(header)} cells, got {length}; mend the line"
            for number, length in enumerate(lengths, start=1)
            if length != len(header)
        ]
        or _header_faults(header),
    )
    names = pd.Index([line.split(delimiter, 1)[0].strip() for line in lines[1:]], name=header[0], dtype=object)
    if len(names) == 0 or len(header) == 1:
        return pd.DataFrame(index=names, columns=pd.Index(header[1:]), dtype=np.float64)
    numbers = pd.read_csv(
        io.StringIO(text),
        sep=delimiter,
        header=None,
        skiprows=1,
        usecols=range(1, len(header)),
        keep_default_na=False,
        na_values=list(MISSING),
        low_memory=False,
        float_precision="round_trip",
    )
    refuse(path, _number_faults(numbers))
    return pd.DataFrame(numbers.to_numpy(dtype=np.float64), index=names, columns=pd.Index(header[1:]))


def _delimiter(path: Path) -> str:
    return "," if path.name.removesuffix(".gz").endswith(".csv") else "\t"


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as exc:
        raise CohortError(f"{path}: expected UTF-8 text, got other bytes; save the file as UTF-8") from exc
    except (OSError, EOFError, zlib.error) as exc:
        raise CohortError(f"{path}: expected a readable file, got {exc}; copy it again") from exc
    if not text.strip():
        raise CohortError(f"{path}: expected a header line, got an empty file; write the table again")
    return text


def _header_faults(header: Sequence[str]) -> list[str]:
    faults: list[str] = []
    first: dict[str, int] = {}
    for number, name in enumerate(header, start=1):
        where = f"line 1, column {number}"
        if not name:
            faults.append(f"{where}: expected a name, got nothing; name the column")
        elif name in first:
            faults.append(f"{where}: expected distinct names, got that of column {first[name]} again; remove one")
        first.setdefault(name, number)
    return faults


def _number_faults(numbers: pd.DataFrame) -> list[str]:
    """Cells that are words or infinite, as faults in the order of the columns."""
    faults = []
    for position, (_, column) in enumerate(numbers.items(), start=2):
        read = pd.to_numeric(column, errors="coerce")
        wrong = (read.isna() & column.notna()) | np.isinf(read)
        faults += [
            f"line {row + 2}, column {position}: expected a finite number, got '{column.iloc[row]}'; correct it"
            for row in np.flatnonzero(wrong)
        ]
    return faults
