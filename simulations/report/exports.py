"""The report's figures and tables as files of their own: SVG that opens alone, and CSV with plain numbers."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from markupsafe import Markup

from shared.digests import sha256_bytes

__all__ = ["ExportedFile", "csv_text", "export", "figures_in", "standalone"]

FONTS = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
ExportedFile = tuple[str, str, str]
"""Path from the run folder, what it shows, SHA-256."""


def export(
    folder: Path, context: Mapping[str, Any], tables: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[ExportedFile]:
    """Write `folder`/figures/*.svg and `folder`/tables/*.csv, without those of an earlier report there."""
    files: list[ExportedFile] = []
    for name, suffix in (("figures", "svg"), ("tables", "csv")):
        (folder / name).mkdir(exist_ok=True)
        for old in (folder / name).glob(f"*.{suffix}"):
            old.unlink()
    for name, title, picture in figures_in(context):
        files.append(_write(folder, f"figures/{name}.svg", title, standalone(picture)))
    for name, rows in tables.items():
        files.append(
            _write(folder, f"tables/{name}.csv", f"{name.replace('_', ' ')}, {len(rows)} rows", csv_text(rows))
        )
    return files


def figures_in(context: Mapping[str, Any]) -> list[tuple[str, str, Markup]]:
    """(file name, title, picture) of every (title, figure) pair of the page, however deep; names differ."""
    found: list[tuple[str, str, Markup]] = []
    taken: set[str] = set()
    for path, title, picture in _pairs(context, ()):
        section = [part for part in path if part != "figures"]
        base = re.sub(r"[^a-z0-9]+", "-", " ".join((*section[-1:], title)).lower()).strip("-")[:80] or "figure"
        name = next(n for n in (base, *(f"{base}-{i}" for i in range(2, 1000))) if n not in taken)
        taken.add(name)
        found.append((name, title, picture))
    return found


def standalone(picture: Markup) -> str:
    """A figure of the page as a document: with its namespaces, its size, a font, and white behind it."""
    text = str(picture)  # a Markup would escape what is put into it
    opening = text[: text.index(">") + 1]
    left, top, width, height = re.search(r'viewBox="([^"]*)"', opening).group(1).split()  # type: ignore[union-attr]
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    head = opening.replace("<svg ", f'<svg {names} width="{width}" height="{height}" font-family="{FONTS}" ', 1)
    back = f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="white"/>'
    rest = text[len(opening) :]
    end = rest.index("</title>") + len("</title>")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}{rest[:end]}{back}{rest[end:]}\n'


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows under the union of their columns; null is an empty cell, and no cell begins like a formula."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(row.get(name)) for name in columns} for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    """A text of a cohort that a spreadsheet would run is quoted."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _pairs(found: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, Markup]]:
    if isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], Markup):
        if 'class="figure"' in found[1][: found[1].find(">") + 1]:
            yield path, str(found[0]), found[1]
    elif isinstance(found, Mapping):
        for key, part in found.items():
            yield from _pairs(part, (*path, str(key)))
    elif isinstance(found, list | tuple):
        for part in found:
            yield from _pairs(part, path)


def _write(folder: Path, name: str, title: str, text: str) -> ExportedFile:
    content = text.encode()
    (folder / name).write_bytes(content)
    return name, title, sha256_bytes(content)
