"""Which files of the GDC stand for a patient."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from client.prepare.expression.samples import assign
from shared.errors import BadInput
from simulations.tcga.barcodes import site_of
from simulations.tcga.gdc import Gdc, GdcFile, all_of, one_of

__all__ = ["KINDS", "RULE", "Kind", "Slides", "Taken", "choose_slides", "list_files", "one_per_case", "slides_of"]

RULE = (
    "Of several samples of a patient a primary tumour (01, 03, 09) is taken first, then the first by its barcode; "
    "normal tissue never."
)
"""As the command prints it, and as `prepare` does it."""

Slides = Literal["none", "diagnostic"] | int


def slides_of(text: str) -> Slides:
    """The option --slides; BadInput for another word."""
    if text == "none":
        return "none"
    if text == "diagnostic":
        return "diagnostic"
    if not text.isdigit():
        raise BadInput(f"--slides: expected none, diagnostic or a number, got {text!r}; correct it")
    return int(text)


@dataclass(frozen=True)
class Kind:
    """One kind of open files: how the GDC is asked for it. Of several workflows the first named is taken first."""

    name: str
    fields: Mapping[str, str]
    workflows: tuple[str, ...] = ()

    def filters(self, projects: Sequence[str]) -> dict[str, Any]:
        """The filter of the endpoint `files`."""
        parts = [one_of("cases.project.project_id", projects), one_of("access", ["open"])]
        parts += [one_of(field, [value]) for field, value in self.fields.items()]
        if self.workflows:
            parts.append(one_of("analysis.workflow_type", self.workflows))
        return all_of(*parts)

    def order(self, file: GdcFile) -> tuple[int, str]:
        """Smaller = taken first."""
        known = file.workflow in self.workflows
        return (self.workflows.index(file.workflow) if known else len(self.workflows), file.id)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("expression", {"data_type": "Gene Expression Quantification"}, ("STAR - Counts",)),
        Kind("mutations", {"data_type": "Masked Somatic Mutation", "data_format": "MAF"}),
        Kind(
            "copy_number",
            {"data_type": "Gene Level Copy Number"},
            ("ASCAT3", "ASCAT2", "ABSOLUTE LiftOver", "AscatNGS"),
        ),
        Kind(
            "slides",
            {"data_type": "Slide Image", "experimental_strategy": "Diagnostic Slide", "data_format": "SVS"},
        ),
    )
}


@dataclass(frozen=True)
class Taken:
    """The file and the sample that stand for each patient, and how many other tumour samples there were."""

    files: Mapping[str, GdcFile]  # case_id ->
    samples: Mapping[str, str]  # case_id -> barcode
    others: int = 0


def list_files(gdc: Gdc, kind: Kind, projects: Sequence[str], cases: Iterable[str]) -> list[GdcFile]:
    """Every open file of a kind that belongs to one of the patients, best first."""
    known = set(cases)
    files = gdc.files(kind.filters(projects))
    return sorted((file for file in files if known & set(file.cases)), key=kind.order)


def one_per_case(files: Sequence[GdcFile], cases: Iterable[str]) -> Taken:
    """One tumour sample a patient, by RULE; `files` come best first."""
    by_sample: dict[str, GdcFile] = {}
    for file in files:
        for name in file.samples:
            by_sample.setdefault(name, file)
    groups = assign(by_sample, frozenset(cases)).tumour
    best = {case: samples[0].name for case, samples in groups.items()}
    return Taken(
        {case: by_sample[name] for case, name in best.items()}, best, sum(len(group) - 1 for group in groups.values())
    )


def choose_slides(files: Sequence[GdcFile], cases: Iterable[str], wanted: Slides) -> list[tuple[str, GdcFile]]:
    """(case_id, slide) of all diagnostic slides, of at most N, or of none.

    N slides are spread: the first slide of one patient of every hospital, then of a second patient of each and so on;
    second slides come last.
    """
    if wanted == "none":
        return []
    known, of_case = frozenset(cases), dict[str, list[GdcFile]]()
    for file in sorted(files, key=lambda file: file.name):
        for case in sorted(known & set(file.cases)):
            of_case.setdefault(case, []).append(file)
    of_site: dict[str, list[str]] = {}
    for case in sorted(of_case):
        of_site.setdefault(site_of(case), []).append(case)
    places = {case: place for group in of_site.values() for place, case in enumerate(group)}
    ranked = [
        (rank, places[case], site_of(case), case, file)
        for case, group in of_case.items()
        for rank, file in enumerate(group)
    ]
    ranked.sort(key=lambda row: row[:4])
    return [(case, file) for *_, case, file in ranked[: None if wanted == "diagnostic" else wanted]]
