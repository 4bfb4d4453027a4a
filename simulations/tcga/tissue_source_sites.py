"""Who collected a TCGA tumour: tissue source site codes of glioma and breast cancer, hospital by hospital.

The codes and names are those of the GDC's code tables (gdc.cancer.gov/resources-tcga-users/tcga-code-tables); the
column `hospital` has one spelling where several codes are one institution. A broker (`kind`) bought tumours of several
hospitals: nobody knows which, so it has no place.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

from shared.cohort.sheets import read_sheet

__all__ = ["TissueSourceSite", "site_notes", "tissue_source_sites"]

GLIOMA = frozenset({"GBM", "LGG"})


@dataclass(frozen=True)
class TissueSourceSite:
    """One code of the table."""

    code: str
    name: str  # as the GDC writes it
    hospital: str
    kind: str  # hospital or broker
    tumour: str  # GBM, LGG or BRCA
    state: str  # of the USA or Canada; "" elsewhere and where it is not known
    region: str  # of the United States Census Bureau, else Canada or a continent; "" for a broker
    country: str

    @property
    def label(self) -> str:
        """Code and hospital, for a person."""
        return f"{self.code} ({self.hospital})"


@cache
def tissue_source_sites() -> Mapping[str, TissueSourceSite]:
    """Code -> what the packaged table says of it."""
    with as_file(files("simulations.tcga").joinpath("tissue_source_sites.tsv")) as path:
        sheet = read_sheet(path)
    rows = (dict(zip(sheet.columns, row, strict=True)) for row in sheet.to_numpy().tolist())
    return {row["code"]: TissueSourceSite(**row) for row in rows}


def site_notes(codes: Collection[str]) -> list[str]:
    """What a person should know of a cohort with these codes, one for every patient: one sentence each.

    Codes that the table does not have, several codes of one hospital, and tumours of two kinds. Nothing where the
    table has none of the codes, as then they are not TCGA's.
    """
    known, counts = tissue_source_sites(), Counter(codes)
    here = [known[code] for code in sorted(counts) if code in known]
    if not here:
        return []
    notes = []
    unknown = [code for code in sorted(counts) if code not in known]
    if unknown:
        listed = ", ".join(f"{code} ({counts[code]} patients)" for code in unknown)
        notes.append(f"Site codes that the packaged table does not have stay codes: {listed}.")
    shared = Counter(site.hospital for site in here if site.kind == "hospital")
    listed = "; ".join(
        f"{' and '.join(site.code for site in here if site.hospital == name)}: {name}"
        for name, count in sorted(shared.items())
        if count > 1
    )
    if listed:
        notes.append(f"Several site codes are one hospital, yet count as several sites: {listed}.")
    tumours = {"glioma" if site.tumour in GLIOMA else site.tumour for site in here}
    if len(tumours) > 1:
        notes.append(
            f"The barcodes are of projects of different tumours ({', '.join(sorted(tumours))}): a site names the "
            "tumour, too, so use one cohort for each."
        )
    return notes
