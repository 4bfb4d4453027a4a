"""Block G: what left beside the noisy updates, kind by kind, and what no noise protects."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.privacy.report.document import NotCovered, Release, Uncovered
from shared.privacy.report.event_rows import releases
from shared.privacy.report.history import History

__all__ = ["FACTS", "KINDS", "Kind", "not_covered", "uncovered_rows"]


@dataclass(frozen=True)
class Kind:
    """One kind of release: by which words of an `aux` entry it is known, and why there is none where there is none."""

    what: str
    words: str  # regular expression
    none: str


KINDS = (
    Kind("Model updates without noise", r"plain model update", "every update carried noise"),
    Kind(
        "Test statistics of the closing evaluation",
        r"held-out test|test statistics",
        "the site file or the study sends none",
    ),
    Kind("Metrics of single rounds", r"test statistics of every round|metric", "train replies carry none"),
    Kind("Loss curves", r"loss", "train replies carry none"),
    Kind("Number of patients", r"patient count|size bucket", "not even as a size bucket"),
    Kind(
        "Normalisation means of genes",
        r"normalis|gene sum|gene mean",
        "values are scaled by public constants, or inside each patient",
    ),
    Kind("Class weights", r"class weight|class count", "weights are public constants of the study, if there are any"),
    Kind("Gene selection", r"gene selection|selected gene", "the gene list is a public constant of the study"),
    Kind("Early stopping", r"early stop|best round", "the number of rounds is fixed beforehand"),
    Kind("Hyper-parameter search", r"hyper-?parameter|trial", "one run only"),
    Kind("Modality availability", r"each modality|modality availability|patient count", "not told"),
)
GENE_SUMS, GENES, SEARCH = KINDS[5], KINDS[7], KINDS[9]
FACTS = (
    "Facts about a whole population, which the model may learn although no single patient matters to them.",
    "That this hospital takes part, which kinds of data it has, and its size bucket.",
    "Anything that left by another way than mmfed, and anything that is not in this ledger.",
    "Frozen encoders that were trained on private data elsewhere.",
    "A person who is a patient of several hospitals: the losses add up.",
    "The people and the computers of the hospital itself.",
    "Theft of the model, and what response times may betray.",
    "Differential privacy is not anonymisation, and it does not replace consent or another legal basis.",
)


def not_covered(history: History) -> NotCovered:
    """Block G of a site."""
    rows = uncovered_rows(releases(history))
    return NotCovered(releases=tuple(_inferred(row, history) for row in rows), facts=FACTS)


def uncovered_rows(found: Sequence[Release]) -> tuple[Uncovered, ...]:
    """A row a kind, then one for everything that is of no kind: nothing that was recorded goes unmentioned."""
    rows = [_row(kind, [r for r in found if re.search(kind.words, r.what, re.IGNORECASE)]) for kind in KINDS]
    other: dict[str, list[Release]] = {}
    for release in found:
        if not any(re.search(kind.words, release.what, re.IGNORECASE) for kind in KINDS):
            other.setdefault(release.what, []).append(release)
    return (*rows, *(_row(Kind(what, "", ""), of) for what, of in other.items()))


def _row(kind: Kind, found: Sequence[Release]) -> Uncovered:
    if not found:
        return Uncovered(what=kind.what, status="none sent", approver="", note=kind.none)
    bare = [release for release in found if release.status == "UNACCOUNTED"]
    return Uncovered(
        what=kind.what,
        status="UNACCOUNTED" if bare else "charged",
        approver=_people(release.approver for release in bare),
        note=_studies(found) + (": as size buckets only" if all("size bucket" in r.what for r in found) else ""),
    )


def _inferred(row: Uncovered, history: History) -> Uncovered:
    """What no `aux` entry tells, but the studies that ran do."""
    if row.what == GENE_SUMS.what:
        sent = [digest for digest in history.ran if _expression(history.study(digest)).get("normalise") == "federated"]
        return _by(row, history, sent, "sums over the genes of at least the smallest group that may be told of")
    if row.what == GENES.what:
        chosen = [d for d in history.ran if _expression(history.study(d)).get("genes") == "cohort"]
        return _by(row, history, chosen, "all genes of the cohort's own table")
    if row.what == SEARCH.what and row.status == "none sent":
        return _search(row, history)
    return row


def _by(row: Uncovered, history: History, digests: Sequence[str], note: str) -> Uncovered:
    if not digests:
        return row
    before = row.approver if row.status == "UNACCOUNTED" else ""
    people = _people((before, *(history.person(digest) for digest in digests)))
    return row.model_copy(update={"status": "UNACCOUNTED", "approver": people, "note": note})


def _search(row: Uncovered, history: History) -> Uncovered:
    """Every further run is one more look at the same patients."""
    private = {str(entry.body["digest"]) for entry in history.charges}
    runs, plain = history.runs(private), history.runs(history.plain)
    if plain > 1:
        note = f"{plain} runs without noise"
        people = _people(history.person(digest) for digest in history.plain)
        return row.model_copy(update={"status": "UNACCOUNTED", "approver": people, "note": note})
    if runs > 1:
        note = f"{runs} runs, each charged in full"
        if len(private) > 1:
            note = (
                f"{runs} runs of {len(private)} studies, each charged in full; a study changed after a model was seen "
                "counts as chosen under a limit that was fixed beforehand"
            )
        return row.model_copy(update={"status": "charged", "note": note})
    return row


def _expression(study: Mapping[str, Any]) -> Mapping[str, Any]:
    return study.get("modalities", {}).get("expression") or {}


def _people(names: Iterable[str]) -> str:
    return ", ".join(_distinct(name for name in names if name)) or "nobody"


def _studies(found: Sequence[Release]) -> str:
    names = list(_distinct(release.study for release in found))
    return f"study {names[0]}" if len(names) == 1 else f"studies {', '.join(names)}"


def _distinct(names: Iterable[str]) -> Iterator[str]:
    return iter(dict.fromkeys(names))
