"""The fixed codes of refusals and the names of message fields (CONTRACT.md section 6)."""

__all__ = ["CODES", "branch_of"]

CODES: dict[str, str] = {
    "NOT_APPROVED": "this site has not approved the study with that digest",
    "DIGEST_MISMATCH": "the study does not have the digest that came with it",
    "STUDY_INVALID": "the study cannot be read by this version",
    "TERMS_EXCEED_SITE": "the study asks for more than the site file allows",
    "VERSION_MISMATCH": "another major.minor version or schema",
    "SITE_MISMATCH": "the site's own name is not the one the coordinator registered",
    "ENCODER_MISMATCH": "features were made by another encoder than the study names",
    "GENES_MISMATCH": "another gene list than the study names",
    "STATISTICS_MISMATCH": "gene statistics are not those this round was announced with",
    "NOT_PREPARED": "no finished feature store for this study's settings",
    "NO_PATIENTS": "no patient of this site can be used for the task",
    "TOO_FEW_PATIENTS": "fewer patients than the site's min_patients",
    "BUNDLE_REFUSED": "a bundle that is not the one mmfed ships",
    "CLIENT_FAILED": "the site failed; the reason stands in its own log",
}
"""Code -> what it means. Nothing else about an error leaves a site."""


def branch_of(name: str) -> str:
    """The branch of a parameter, from its state_dict name: `branches.<branch>.*`, else `fusion`."""
    return name.split(".")[1] if name.startswith("branches.") else "fusion"
