"""What a site's expression holds before any study asks for it, for `check`."""

from dataclasses import dataclass

from client.prepare.expression.gene_names import GeneNames
from client.prepare.expression.samples import Samples, assign
from client.prepare.expression.scale import scale_fault
from client.prepare.expression.sources import expression_source, star_files
from client.prepare.expression.star import StarFile, read_star
from client.prepare.expression.star_folder import star_scale_fault
from client.prepare.expression.star_samples import read_star_samples
from shared.cohort.sheets import read_matrix
from shared.errors import CohortError
from shared.site import Site

__all__ = ["Measured", "measured"]


@dataclass(frozen=True)
class Measured:
    """Genes and patients of a site's expression; with a fault `prepare` would leave all of it out."""

    genes: frozenset[str] = frozenset()  # symbols; Ensembl ids where nothing gives a symbol
    patients: frozenset[str] = frozenset()  # case ids
    fault: str = ""


def measured(site: Site, case_ids: list[str]) -> Measured:
    """The genes, and those of the patients `case_ids` who have a tumour sample; nothing is written.

    Of STAR counts only the first readable file is opened: it tells the genes.

    Raises
    ------
    CohortError
        A table is missing or malformed, or none of the STAR files can be read.
    """
    source = expression_source(site.data)
    if source is None:
        return Measured()
    names = GeneNames.read(site)
    if not source.path.is_dir():
        table = read_matrix(source.path)
        fault = scale_fault(table, site.expression.scale)
        patients = frozenset(assign(table.columns, case_ids).tumour)
        return Measured(names.symbols(list(table.index)), patients, fault and f"{source.name}: {fault}")
    there = star_files(site.data)
    samples = Samples.of(s for s in read_star_samples(site.data) if s.name in there)
    file, patients = _first_readable(site), frozenset(samples.tumour) & frozenset(case_ids)
    return Measured(names.symbols(file.gene_ids, file.symbols), patients, star_scale_fault(site))


def _first_readable(site: Site) -> StarFile:
    files = star_files(site.data).values()
    for path in files:
        try:
            return read_star(path)
        except CohortError:
            continue  # `prepare` says in its report what is wrong with each
    raise CohortError(
        f"{site.data}/expression: expected a readable file of STAR counts, got {len(files)} broken ones; "
        "run prepare and look into prepare-report.csv"
    )
