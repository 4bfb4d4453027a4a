"""What a case id is: a barcode of TCGA, or one of another programme."""

import re

__all__ = ["PROJECTS", "case_of", "is_tcga", "other_programmes", "programme_of", "site_of"]

TCGA = re.compile(r"TCGA-([^-]{2})-[^-]+")
"""TCGA-<tissue source site>-<participant>; what follows names a sample, portion, analyte, plate and centre."""

PROGRAMMES = {
    "TARGET": r"TARGET-",
    "CPTAC": r"C3[LN]-|CPT\d|CPTAC",
    "HCMI": r"HCM-",
    "CGCI": r"HTMCP-|BLGSP-",
    "MMRF": r"MMRF_",
    "BeatAML": r"BEATAML|aml-",
    "GENIE": r"GENIE-",
    "APOLLO": r"AP-",
}
"""Programme -> how its case ids begin."""

PROJECTS = tuple(
    f"TCGA-{code}"
    for code in [
        "ACC",
        "BLCA",
        "BRCA",
        "CESC",
        "CHOL",
        "COAD",
        "DLBC",
        "ESCA",
        "GBM",
        "HNSC",
        "KICH",
        "KIRC",
        "KIRP",
        "LAML",
        "LGG",
        "LIHC",
        "LUAD",
        "LUSC",
        "MESO",
        "OV",
        "PAAD",
        "PCPG",
        "PRAD",
        "READ",
        "SARC",
        "SKCM",
        "STAD",
        "TGCT",
        "THCA",
        "THYM",
        "UCEC",
        "UCS",
        "UVM",
    ]
)
"""The 33 projects of TCGA at the GDC."""


def is_tcga(name: str) -> bool:
    """Whether a case id or sample name begins as a TCGA barcode does."""
    return TCGA.match(name) is not None


def case_of(name: str) -> str:
    """The patient of a TCGA barcode: its first three fields; the name itself if it is none."""
    found = TCGA.match(name)
    return found[0] if found else name


def site_of(name: str) -> str:
    """The tissue source site of a TCGA barcode, a string that may begin with a zero; "" if it is none."""
    found = TCGA.match(name)
    return found[1] if found else ""


def programme_of(name: str) -> str:
    """TCGA, TARGET, CPTAC ... by how the case id begins; "" if it is none of those."""
    if is_tcga(name):
        return "TCGA"
    return next((programme for programme, begins in PROGRAMMES.items() if re.match(begins, name)), "")


def other_programmes(names: list[str]) -> str:
    """How many case ids are of other programmes than TCGA, in words such as `3 of TARGET and 2 others`; "" if none."""
    counts: dict[str, int] = {}
    for name in names:
        if not is_tcga(name):
            counts[programme_of(name)] = counts.get(programme_of(name), 0) + 1
    words = [f"{n} of {programme}" for programme, n in sorted(counts.items()) if programme]
    rest = counts.get("", 0)
    return " and ".join([*words, *([f"{rest} others"] if rest else [])])
