from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from client.prepare.report import PrepareReport
from shared.site import Site, read_site

STAR = (
    "# gene-model: GENCODE v36\n"
    "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\ttpm_unstranded\tfpkm_unstranded"
    "\tfpkm_uq_unstranded\n"
    "N_unmapped\t\t\t900\t900\t900\t\t\t\nN_multimapping\t\t\t800\t800\t800\t\t\t\n"
    "N_noFeature\t\t\t700\t700\t700\t\t\t\nN_ambiguous\t\t\t600\t600\t600\t\t\t\n"
)


@pytest.fixture
def make_site(tmp_path: Path) -> Callable[..., Site]:
    """Write a site of the given files (name -> text), in subfolders too, and site file sections; returns it."""

    def make(files: Mapping[str, str], sections: str = "") -> Site:
        (tmp_path / "data").mkdir(exist_ok=True)
        for name, text in files.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (tmp_path / "site.toml").write_text(f'schema = 1\n[site]\nid = "A"\n{sections}')
        return read_site(tmp_path / "site.toml")

    return make


@pytest.fixture(scope="session")
def star() -> Callable[[Iterable[tuple[str, str, object, object]]], str]:
    """The text of a STAR counts file of genes (id, symbol, count, TPM)."""

    def text(genes: Iterable[tuple[str, str, object, object]]) -> str:
        lines = (f"{i}\t{name}\tprotein_coding\t{count}\t1\t2\t{tpm}\t0.1\t0.2\n" for i, name, count, tpm in genes)
        return STAR + "".join(lines)

    return text


@pytest.fixture
def rows() -> Callable[[PrepareReport], list[tuple[str, str, str, str]]]:
    """The rows of a report as (file, state, case_id, reason)."""
    return lambda report: [(row.file, row.state, row.case_id, row.reason) for row in report.rows]
