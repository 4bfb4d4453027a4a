"""Where the data came from, with which settings, and the digests that tell a reader whether they hold the same."""

from typing import Any

__all__ = ["digests", "settings_text", "sources"]

LINE_AT_MOST = 1000


def sources(metrics: dict[str, Any]) -> list[tuple[str, bool, int]]:
    """Modality or outcome, whether mmfed generated it, and the patients of the run that have it."""
    cohort, made = metrics.get("cohort") or {}, metrics.get("synthetic") or []
    groups = list((cohort.get("sites") or {}).values())
    if cohort.get("patients", 0) > sum(found.get("patients") or 0 for found in groups):
        groups.append(cohort.get("unseen") or {})
    held: dict[str, int] = {}
    for found in groups:
        for name, n in (found.get("modalities") or {}).items():
            held[name] = held.get(name, 0) + (n or 0)
    if cohort.get("patients"):
        held["outcomes"] = cohort["patients"]
    return [(name, name in made, n) for name, n in held.items()]


def digests(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and SHA-256 of the study, the patients, the encoders and the gene list, as far as the run has them."""
    inputs, pairing = metrics.get("inputs") or {}, metrics.get("pairing") or {}
    found = [
        ("Study digest", (metrics.get("study") or {}).get("digest")),
        ("Patients and labels", pairing.get("cohort")),
        ("Gene list", inputs.get("genes_sha256")),
        *((f"Encoder of {name}", sha) for name, sha in (inputs.get("encoders") or {}).items()),
    ]
    return [(name, sha) for name, sha in found if sha]


def settings_text(study_toml: str) -> str:
    """The study file with very long lists, such as all genes of a cohort, cut short in a comment's words."""
    return "\n".join(map(_shortened, study_toml.split("\n")))


def _shortened(line: str) -> str:
    if len(line) <= LINE_AT_MOST:
        return line
    entries = line.split(", ")
    return f"{', '.join(entries[:12])}, ...  # {len(entries)} entries, all of them in study.toml"
