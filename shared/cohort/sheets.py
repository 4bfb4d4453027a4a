"""Read delimited text, gzipped or not: words or numbers, every fault named by its line."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shared.errors import CohortError

__all__ = ["MISSING", "find_file", "read_matrix", "read_sheet", "read_text", "refuse", "require_columns"]

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "--", "'--", "[Not Available]", "[Not Applicable]", "[Unknown]")
"""Words that stand for a missing value."""

FAULTS_SHOWN = 20
ROWS_AT_ONCE = 4096

DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
UNIT_SEPARATOR = "\x1f"  # a delimiter that stands in no cell


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


def read_sheet(path: Path, ragged: list[str] | None = None) -> pd.DataFrame:
    """Read a table of words: every cell a stripped string, the empty string where MISSING; blank lines are skipped.

    The index holds the line number of each row (the header is line 1); columns are named by the header. With a list
    `ragged`, lines with another number of cells than the header are left out and described there.

    Raises
    ------
    CohortError
        The file cannot be read or is empty, a header cell is empty or stands twice; without the list, a ragged line.
    """
    lines = {  # line number -> cells
        number: [cell.strip() for cell in cells] for number, cells in _quoted_rows(path, read_text(path)) if any(cells)
    }
    if not lines:
        raise CohortError(f"{path}: expected a header line, got empty lines; write the table again")
    header = lines.pop(min(lines))
    wrong = {number: len(cells) for number, cells in lines.items() if len(cells) != len(header)}
    if ragged is not None and len(wrong) < len(lines):  # all of them: it is the header that is wrong
        ragged += _ragged_faults(header, wrong)
        lines = {number: cells for number, cells in lines.items() if number not in wrong}
    refuse(
        path,
        _delimiter_faults(path, header)
        or _ragged_faults(header, {number: len(cells) for number, cells in lines.items()})
        or _header_faults(header),
    )
    sheet = pd.DataFrame(list(lines.values()), index=list(lines), columns=header, dtype=object)
    return sheet.where(~sheet.isin(MISSING), "")


def read_matrix(path: Path, words: Collection[str] = ()) -> pd.DataFrame:
    """Read a table of numbers: float64, NaN where MISSING; index = its first column, columns = its other header cells.

    Row i of the result is line i + 2 of the file; a table may have no row or no column. Names in the first column are
    neither checked nor made distinct. Columns named in `words` hold no numbers and are left out.

    Raises
    ------
    CohortError
        As `read_sheet`; also a cell that is no finite number.
    """
    text, delimiter = _unquoted(path)
    lines = text.split("\n")
    header = [cell.strip() for cell in lines[0].split(delimiter)]
    lengths = {number: line.count(delimiter) + 1 for number, line in enumerate(lines[1:], start=2)}
    refuse(path, _delimiter_faults(path, header) or _ragged_faults(header, lengths) or _header_faults(header))
    names = pd.Index([line.split(delimiter, 1)[0].strip() for line in lines[1:]], name=header[0], dtype=object)
    del lines  # as large as the text, which parsing needs again
    positions = [i for i, name in enumerate(header) if i and name not in words]
    values = np.empty((len(names), len(positions)))
    if values.size:
        _parse_numbers(path, text, delimiter, positions, values)
    return pd.DataFrame(values, index=names, columns=pd.Index([header[i] for i in positions]), copy=False)


def read_text(path: Path) -> str:
    """The UTF-8 text of a file, unpacked if it ends in .gz; line feeds between its lines and none at its end.

    Raises
    ------
    CohortError
        The file cannot be read, is no UTF-8 text, or is empty.
    """
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise CohortError(f"{path}: expected UTF-8 text, got other bytes; save the file as UTF-8") from exc
    except (OSError, EOFError, zlib.error) as exc:
        fault = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
        raise CohortError(f"{path}: expected a readable file, got {fault}; copy it again") from exc
    if not text.strip() or "\0" in text:
        got = "NUL bytes" if "\0" in text else "an empty file"
        raise CohortError(f"{path}: expected a header line, got {got}; write the table again")
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def _delimiter(path: Path) -> str:
    return "," if path.name.removesuffix(".gz").endswith(".csv") else "\t"


def _quoted_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The number of the last line of every row, and its cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(path), strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as exc:
        raise CohortError(f"{path}, line {reader.line_num}: expected delimited text, got {exc}; mend the line") from exc


def _unquoted(path: Path) -> tuple[str, str]:
    """A text of one line a row without quoted cells, and its delimiter."""
    text = read_text(path)
    if '"' not in text:
        return text, _delimiter(path)
    lines, faults = [], []
    for number, cells in _quoted_rows(path, text):
        line = UNIT_SEPARATOR.join(cells)
        if "\n" in line or line.count(UNIT_SEPARATOR) >= max(len(cells), 1):
            faults.append(
                f"line {number}: expected one line a row, got a line break or a control character in a cell; "
                "mend the line"
            )
        lines.append(line)
    refuse(path, faults)
    return "\n".join(lines), UNIT_SEPARATOR


def _delimiter_faults(path: Path, header: Sequence[str]) -> list[str]:
    """A header of one cell that another delimiter would split."""
    if len(header) > 1:
        return []
    if _delimiter(path) == ",":
        expected, got, advice = "commas", {"tabs": "\t", "semicolons": ";"}, "export the table with commas"
    else:
        expected, got, advice = "tabs", {"commas": ",", "semicolons": ";"}, "export the table as tab-separated text"
    return [
        f"line 1: expected cells separated by {expected}, got {name}; {advice} and decimal points"
        for name, delimiter in got.items()
        if header[0].count(delimiter) > 0
    ][:1]


def _ragged_faults(header: Sequence[str], lengths: dict[int, int]) -> list[str]:
    """Lines (number -> cells) that have more or fewer cells than the header."""
    if len(lengths) > 1 and set(lengths.values()) == {len(header) + 1}:
        return [
            f"line 1: expected {len(header) + 1} cells as in every other line, got {len(header)}; "
            "name the first column too"
        ]
    return [
        f"line {number}: expected {len(header)} cells, got {length}; mend the line"
        for number, length in lengths.items()
        if length != len(header)
    ]


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


def _parse_numbers(path: Path, text: str, delimiter: str, positions: list[int], values: NDArray[np.float64]) -> None:
    """Fill `values` (rows, positions) from the text below its header, some rows at a time to bound the memory."""
    parts = pd.read_csv(
        io.BytesIO(text.encode()),
        sep=delimiter,
        header=None,
        skiprows=1,
        usecols=positions,
        keep_default_na=False,
        na_values=list(MISSING),
        low_memory=False,
        float_precision="round_trip",
        quoting=csv.QUOTE_NONE,
        skip_blank_lines=False,
        chunksize=ROWS_AT_ONCE,
    )
    faults: list[str] = []
    for part in parts:
        faults += _number_faults(part)
        if not faults:
            values[part.index[0] : part.index[-1] + 1] = part.to_numpy(dtype=np.float64)
    refuse(path, faults)


def _number_faults(numbers: pd.DataFrame) -> list[str]:
    """Cells that are words or infinite, as faults; columns and rows are named by their positions in the file."""
    if all(dtype.kind in "fiu" for dtype in numbers.dtypes) and not np.isinf(numbers.to_numpy()).any():
        return []  # as almost always, and a column at a time takes a hundred times as long
    faults = []
    for position, column in numbers.items():
        read = pd.to_numeric(column, errors="coerce")
        wrong = (read.isna() & column.notna()) | np.isinf(read)
        if column.dtype in (bool, object):  # pandas takes a column of TRUE and FALSE for numbers
            wrong |= column.map(lambda cell: isinstance(cell, bool | np.bool_))
        for row in np.flatnonzero(wrong).tolist():
            got = str(column.iloc[row])
            advice = "export the table with decimal points" if DECIMAL_COMMA.fullmatch(got) else "correct it"
            where = f"line {int(numbers.index[row]) + 2}, column {int(str(position)) + 1}"
            faults.append(f"{where}: expected a finite number, got '{got}'; {advice}")
    return faults
