"""A hospital's folder under a dose: what the dose changes is written anew, everything else is the same file."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from shared.cohort.sheets import find_file
from shared.digests import sha256_json
from simulations.hospitals import Hospital
from simulations.stresses.curve import Base
from simulations.synthetic.tables import write_packed

__all__ = ["Change", "dosed_hospitals", "expression_file", "packed_expression"]

Change = Callable[[Path], None] | None
"""Write the file or folder at a path; None = leave it out."""

FORMAT = 1  # of the folders written here; part of their name


def dosed_hospitals(
    base: Base, name: str, decides: Sequence[object], changes: Mapping[str, Mapping[str, Change]]
) -> list[Hospital]:
    """The base's hospitals, those of `changes` in folders of their own; a folder that is there is used again.

    Parameters
    ----------
    name, decides
        The stress, and everything that decides what it writes: the folder is named by both.
    changes
        Hospital -> name in its data folder -> what becomes of it.
    """
    result = []
    for hospital in base.hospitals:
        if hospital.id not in changes:
            result.append(hospital)
            continue
        digest = sha256_json([FORMAT, name, list(decides), sorted(changes[hospital.id])])[:12]
        root = base.cache / "stresses" / f"{hospital.folder.parent.name}-{name}-{digest}"
        if not (root / hospital.id / "site.toml").is_file():
            _write(hospital, root, changes[hospital.id])
        result.append(Hospital(hospital.id, root / hospital.id))
    return result


def expression_file(hospital: Hospital) -> Path | None:
    """The hospital's expression table; None without one."""
    return find_file(hospital.folder / "data", "expression.tsv", "expression.tsv.gz")


def packed_expression(table: pd.DataFrame) -> Callable[[Path], None]:
    """What writes a table (genes, patients) as expression.tsv.gz, or .tsv, as the name says."""
    rows: Iterable[Sequence[object]] = (
        (gene, *("" if pd.isna(value) else f"{value:.4f}" for value in row))
        for gene, row in zip(table.index, table.to_numpy(), strict=True)
    )
    lines = [("gene_symbol", *table.columns), *rows]

    def write(path: Path) -> None:
        if path.suffix == ".gz":
            write_packed(path, lines)
        else:
            path.write_text("".join("\t".join(map(str, line)) + "\n" for line in lines), encoding="utf-8")

    return write


def _write(hospital: Hospital, root: Path, changes: Mapping[str, Change]) -> None:
    """A folder of the hospital as another `prepare` finds it, whole or not at all."""
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{hospital.id}-", dir=root))
    data = draft / "data"
    data.mkdir()
    for entry in sorted((hospital.folder / "data").iterdir()):
        if entry.name not in changes:
            _take_over(entry, data / entry.name)
    for name, change in changes.items():
        if change is not None:
            change(data / name)
    _take_state(hospital.folder / "state", draft / "state", slides="slides" not in changes)
    _take_over(hospital.folder / "site.toml", draft / "site.toml")
    shutil.rmtree(root / hospital.id, ignore_errors=True)
    draft.rename(root / hospital.id)


def _take_state(state: Path, target: Path, *, slides: bool) -> None:
    """The salt, so that patients keep their keys, and prepared slides, which `prepare` takes where they still fit."""
    target.mkdir()
    for name in ("salt", "files.json"):
        if (state / name).is_file():
            shutil.copy2(state / name, target / name)
    for made in ("slides", "thumbnails") if slides else ():
        for file in (state / "store").glob(f"*/{made}/*"):
            there = target / file.relative_to(state)
            there.parent.mkdir(parents=True, exist_ok=True)
            _take_over(file, there)


def _take_over(source: Path, target: Path) -> None:
    """The same file under another name: a link, or a copy on a file system without any."""
    if source.is_symlink():
        target.symlink_to(source.resolve(), target_is_directory=source.is_dir())
    elif source.is_dir():
        target.mkdir()
        for entry in sorted(source.iterdir()):
            _take_over(entry, target / entry.name)
    else:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)
