"""Which sample stands for a patient: sample names to case ids, and the rule where a patient has several."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum

from client.prepare.patients import Roster
from client.prepare.report import PrepareReport

__all__ = ["NOT_TAKEN", "Kind", "Sample", "Samples", "assign", "kind_of_words", "record", "take"]

NOT_TAKEN = "another sample of the patient was taken: a primary tumour first, then the first by name"
NO_TUMOUR = "normal tissue or a control, which never stands for a tumour"
AMBIGUOUS = "the sample's name begins like several case_ids of clinical.tsv; name it by its case_id"

BARCODE = re.compile(r"[-._](\d\d)[A-Z]?(?:[-._].*)?")
"""What follows the case id in a barcode of TCGA or TARGET: the two digits are the sample type."""


class Kind(IntEnum):
    """In the order in which samples of a patient are taken; NORMAL never is."""

    PRIMARY = 0
    OTHER = 1
    NORMAL = 2


PRIMARY_CODES = {"01", "03", "09"}
NORMAL_CODES = {"10", "11", "12", "13", "14", "20"}


@dataclass(frozen=True, order=True)
class Sample:
    """One sample of a known patient; sorts as the rule says."""

    kind: Kind
    name: str
    case_id: str


@dataclass(frozen=True)
class Samples:
    """Sample names by what they are to a roster."""

    tumour: dict[str, tuple[Sample, ...]]  # case_id -> its samples, best first
    normal: tuple[Sample, ...] = ()
    strangers: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()

    @classmethod
    def of(cls, samples: Iterable[Sample], strangers: Iterable[str] = (), ambiguous: Iterable[str] = ()) -> "Samples":
        """Sort samples by patient and rule."""
        tumour: dict[str, list[Sample]] = {}
        normal = []
        for sample in sorted(samples):
            if sample.kind is Kind.NORMAL:
                normal.append(sample)
            else:
                tumour.setdefault(sample.case_id, []).append(sample)
        groups = {case_id: tuple(tumour[case_id]) for case_id in sorted(tumour)}
        return cls(groups, tuple(normal), tuple(sorted(strangers)), tuple(sorted(ambiguous)))


def assign(names: Iterable[str], case_ids: Collection[str]) -> Samples:
    """Give every sample name to the one case id that it equals, or that it begins with up to a '-', '.' or '_'.

    In a barcode of TCGA or TARGET the sample type follows the case id: 01, 03 and 09 are primary tumours, 10 to 14 and
    20 normal tissue or controls. A name without a type counts as a primary tumour if it is the case id itself.
    """
    known = frozenset(case_ids)
    samples: list[Sample] = []
    strangers: list[str] = []
    ambiguous: list[str] = []
    for name in names:
        fitting = [name] if name in known else [p for p in _beginnings(name) if p in known]
        if len(fitting) == 1:
            samples.append(Sample(_kind_of_barcode(name, fitting[0]), name, fitting[0]))
        else:
            (ambiguous if fitting else strangers).append(name)
    return Samples.of(samples, strangers, ambiguous)


def kind_of_words(sample_type: str) -> Kind:
    """The kind that GDC's words say: "Primary Tumor", "Recurrent Tumor", "Solid Tissue Normal", "Control Analyte"."""
    words = sample_type.lower()
    if "normal" in words or "control" in words:
        return Kind.NORMAL
    return Kind.PRIMARY if words.startswith("primary") else Kind.OTHER


def take(names: Iterable[str], roster: Roster, file: str, report: PrepareReport) -> dict[str, str]:
    """case_id -> the sample that stands for the patient; every other name gets its row in the report."""
    samples = assign(names, {*roster.case_ids, *roster.excluded})
    record(samples, roster, file, report)
    taken = {}
    for case_id, (best, *others) in samples.tumour.items():
        if case_id in roster.keys:
            taken[case_id] = best.name
            for other in others:
                report.add(f"{file}: {other.name}", "noted", NOT_TAKEN, key=roster.keys[case_id], case_id=case_id)
    longer = [name for case_id, name in taken.items() if name != case_id]
    if longer:
        reason = f"{len(longer)} samples stand for the patient whose case_id they begin with, such as {longer[0]!r}"
        report.add(file, "noted", reason)
    return taken


def record(samples: Samples, roster: Roster, file: str, report: PrepareReport) -> None:
    """Rows for names that belong to no patient or to several, and for normal tissue; none for excluded patients."""
    for name in samples.strangers:
        report.add(file, "left out", "not in clinical.tsv", case_id=name)
    for name in samples.ambiguous:
        report.add(file, "left out", AMBIGUOUS, case_id=name)
    keys = roster.keys
    for sample in samples.normal:
        if sample.case_id in keys:
            report.add(
                f"{file}: {sample.name}",
                "noted" if sample.case_id in samples.tumour else "left out",
                NO_TUMOUR,
                key=keys[sample.case_id],
                case_id=sample.case_id,
            )


def _beginnings(name: str) -> list[str]:
    return [name[:i] for i, letter in enumerate(name) if letter in "-._"]


def _kind_of_barcode(name: str, case_id: str) -> Kind:
    if name == case_id:
        return Kind.PRIMARY
    barcode = BARCODE.fullmatch(name[len(case_id) :]) if name.startswith(("TCGA-", "TARGET-")) else None
    code = barcode[1] if barcode else ""
    return Kind.PRIMARY if code in PRIMARY_CODES else Kind.NORMAL if code in NORMAL_CODES else Kind.OTHER
