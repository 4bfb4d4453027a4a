"""Gene groups in MSigDB's GMT format and the fixed vocabulary they span."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from shared.digests import sha256_json
from shared.errors import CohortError

__all__ = ["groups_digest", "packaged_panel", "read_gmt", "vocabulary"]


def vocabulary(groups: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The sorted union of all groups: the gene order of every array."""
    return tuple(sorted({gene for genes in groups.values() for gene in genes}))


def groups_digest(groups: Mapping[str, Sequence[str]]) -> str:
    """SHA-256 that names a set of groups, whatever the order of groups or genes in the file."""
    return sha256_json({name: sorted(set(genes)) for name, genes in groups.items()})


def packaged_panel() -> dict[str, tuple[str, ...]]:
    """The small panel that mmfed ships: six groups of well-known cancer genes."""
    return _parse_gmt(files("shared.cohort").joinpath("panel.gmt").read_text(encoding="utf-8"), "panel.gmt")


def read_gmt(path: Path) -> dict[str, tuple[str, ...]]:
    """Read a GMT file: one group a line, tab-separated name, description and symbols."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise CohortError(f"{path}: expected a readable GMT file, got {exc}; check the path") from exc
    return _parse_gmt(text, str(path))


def _parse_gmt(text: str, source: str) -> dict[str, tuple[str, ...]]:
    groups: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, *rest = (cell.strip() for cell in line.split("\t"))
        genes = sorted({gene for gene in rest[1:] if gene})
        if not genes or name in groups:
            fault = "a repeated group" if name in groups else "fewer than three tab-separated cells"
            raise CohortError(f"{source}, line {number}: expected name, description, genes; got {fault}; mend the line")
        groups[name] = tuple(genes)
    if not groups:
        raise CohortError(f"{source}: expected at least one gene group, got none; use a GMT file")
    return groups
