"""A cohort folder from the GDC: what it would take, then the files, then the tables."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from shared.cohort.drafts import replacing
from shared.cohort.genes import packaged_panel, read_gmt, vocabulary
from shared.digests import sha256_json
from shared.errors import BadInput
from simulations.tcga.barcodes import PROJECTS, is_tcga
from simulations.tcga.clinical import clinical_table, fetch_cases
from simulations.tcga.copy_number import copy_number_table
from simulations.tcga.download import Checked, Progress, fetch_files, missing_bytes
from simulations.tcga.expression import expression_table
from simulations.tcga.gdc import Gdc, GdcFile
from simulations.tcga.labels import join_labels, label_file
from simulations.tcga.matrices import write_expression, write_patients_by_genes, write_rows
from simulations.tcga.mutations import SHARE, mutation_table
from simulations.tcga.selection import KINDS, RULE, Slides, Taken, choose_slides, list_files, one_per_case
from simulations.tcga.tissue_source_sites import site_notes

__all__ = ["Options", "Plan", "carry_out", "make_plan"]

TABLES = ("expression", "mutations", "copy_number")
KEPT = "gdc"  # folder of what was fetched
STATE = "fetch.json"
FORMAT = 1  # of the tables written here; part of their digests
FILES = {"expression": "expression.tsv.gz", "mutations": "mutations.tsv", "copy_number": "copy_number.tsv"}


@dataclass(frozen=True)
class Options:
    """What `python simulations/fetch_tcga.py` was asked to do."""

    projects: tuple[str, ...]
    out: Path
    slides: Slides = "none"
    labels: str = ""  # FILE[:case_column]
    genes: Path | None = None  # GMT: genes of the expression table; None = all protein-coding
    aux_genes: Path | None = None  # GMT: genes of mutations and copy number
    workers: int = 4

    def __post_init__(self) -> None:
        for project in self.projects:
            if project not in PROJECTS:
                close = get_close_matches(project.upper(), PROJECTS, n=1, cutoff=0.7)
                other = "" if project.upper().startswith("TCGA") else ", since other programmes have no hospital codes"
                advice = f"write {close[0]}" if close else f"choose of {', '.join(PROJECTS)}"
                raise BadInput(f"--project: expected projects of TCGA{other}, got {project!r}; {advice}")
        if not self.projects or self.workers < 1 or (isinstance(self.slides, int) and self.slides < 1):
            raise BadInput(
                "expected at least one --project, and --workers and a number of --slides of 1 or more; correct it"
            )
        if self.out.exists() and not self.out.is_dir():
            raise BadInput(f"--out: expected a folder, got the file {self.out}; name another")
        held = _state(self.out)
        if (self.out / "clinical.tsv").is_file() and not held:
            raise BadInput(
                f"--out: expected a folder of this command or a new one, got another cohort in {self.out}; name another"
            )
        if held and sorted(held["projects"]) != sorted(self.projects):
            raise BadInput(
                f"--out: expected the projects that {self.out} was begun with ({' '.join(held['projects'])}), "
                f"got {' '.join(self.projects)}; name another folder, since a table of two cohorts is neither"
            )


@dataclass(frozen=True)
class Plan:
    """Everything that is known before the first file is fetched."""

    options: Options
    clinical: pd.DataFrame
    taken: Mapping[str, Taken]  # table ->
    slides: Sequence[tuple[str, GdcFile]]
    labels: tuple[str, ...]  # columns that came from a table of labels
    notes: tuple[str, ...] = field(default=())

    @property
    def wanted(self) -> dict[str, dict[Path, GdcFile]]:
        """What -> path -> file."""
        root = self.options.out
        found = {
            name: {root / KEPT / name / f"{file.id}{_suffix(file)}": file for file in taken.files.values()}
            for name, taken in self.taken.items()
        }
        slides = {root / "slides" / file.name: file for _, file in self.slides}
        return found | ({"slides": slides} if slides else {})

    def lines(self) -> list[str]:
        """The estimate: files, patients, size and what is still to come, a line each."""
        rows = []
        for name, files in self.wanted.items():
            patients = len({case for case, _ in self.slides}) if name == "slides" else len(self.taken[name].files)
            size = sum(file.size for file in files.values())
            rows.append(
                f"{name:<12} {len(files):>6} files {patients:>6} patients {_bytes(size):>10}, "
                f"{_bytes(missing_bytes(files))} to fetch"
            )
        return [f"{'clinical':<12} {len(self.clinical):>19} patients", *rows]

    @property
    def missing(self) -> int:
        """Bytes still to come."""
        return sum(missing_bytes(files) for files in self.wanted.values())


def make_plan(gdc: Gdc, options: Options) -> Plan:
    """Ask the GDC which patients and files there are; nothing is written.

    Raises
    ------
    BadInput
        A project has no patients, the labels do not fit, or the disk is too small.
    WorkFailed
        The GDC does not answer.
    """
    cases = [case for case in fetch_cases(gdc, options.projects) if is_tcga(str(case["submitter_id"]))]
    there = {(case.get("project") or {}).get("project_id") for case in cases}
    absent = [project for project in options.projects if project not in there]
    if absent:
        raise BadInput(f"--project: expected patients at {gdc.server}, got none of {', '.join(absent)}; check --server")
    clinical, notes = clinical_table(cases), [RULE]
    own = frozenset(clinical.columns)
    if options.labels:
        clinical, said = join_labels(clinical, *label_file(options.labels))
        notes += said
    lost = [name for name in _state(options.out).get("labels", []) if name not in clinical.columns]
    if lost:
        raise BadInput(
            f"--labels: expected the table with {', '.join(lost)}, which clinical.tsv of {options.out} has, got none; "
            "name it again, or another --out"
        )
    for path in (options.genes, options.aux_genes):
        _genes(path)  # a fault of theirs shows before the download
    names = clinical["case_id"].tolist()
    taken = {name: one_per_case(list_files(gdc, KINDS[name], options.projects, names), names) for name in TABLES}
    slides: list[tuple[str, GdcFile]] = []
    if options.slides != "none":
        slides = choose_slides(list_files(gdc, KINDS["slides"], options.projects, names), names, options.slides)
    notes += [f"{name}: {t.others} further tumour samples are not taken." for name, t in taken.items() if t.others]
    notes += site_notes(clinical["tissue_source_site"].tolist())
    labels = tuple(name for name in clinical.columns if name not in own)
    plan = Plan(options, clinical, taken, slides, labels, tuple(notes))
    free = shutil.disk_usage(next(p for p in (options.out, *options.out.absolute().parents) if p.exists())).free
    if plan.missing > free:
        raise BadInput(
            f"--out: expected {_bytes(plan.missing)} of free disk, got {_bytes(free)}; "
            "name another folder or a smaller number of --slides"
        )
    return plan


def carry_out(gdc: Gdc, plan: Plan, progress: Progress, say: Callable[[str], None]) -> None:
    """Fetch what is missing and write the cohort folder; the tables that would come out the same are left alone.

    Raises
    ------
    WorkFailed
        A file could not be had; what was fetched is kept.
    CohortError
        A file is malformed though its checksum fits.
    """
    options, wanted = plan.options, plan.wanted
    kept = options.out / KEPT
    kept.mkdir(parents=True, exist_ok=True)
    state = _state(options.out) or {"projects": sorted(options.projects), "server": gdc.server, "tables": {}}
    state["labels"] = list(plan.labels)
    _save(options.out, state)
    ids = sorted({file.id for files in wanted.values() for file in files.values()})
    if ids:
        (kept / "manifest.txt").write_text(gdc.manifest(ids), encoding="utf-8")
    write_rows(options.out / "clinical.tsv", plan.clinical)
    checked = Checked(kept / "checked.txt")
    for name, files in wanted.items():
        fetch_files(gdc, files, checked, workers=options.workers, progress=progress, what=f"fetching {name}")
    for name, taken in plan.taken.items():
        if not taken.files:
            say(f"The GDC has no open {name} files of these patients: no {FILES[name]}.")
            continue
        table = _write_table(options, name, taken, state, progress)
        say(f"{FILES[name]}: {table}")
    if plan.slides:
        rows = [
            (case, file.name.removesuffix(".svs")) for case, file in sorted(plan.slides, key=lambda row: row[1].name)
        ]
        write_rows(options.out / "slides.tsv", pd.DataFrame(sorted(rows), columns=["case_id", "slide_id"]))
        say(f"slides.tsv: {len(rows)} slides of {len({case for case, _ in rows})} patients")


def _write_table(options: Options, name: str, taken: Taken, state: dict[str, Any], progress: Progress) -> str:
    """Write one table unless it is there, made of the same; what it holds, in words."""
    genes = _genes(options.genes if name == "expression" else options.aux_genes)
    if genes is None and name == "copy_number":
        genes = vocabulary(packaged_panel())
    rows = [(case, file.id, file.md5, taken.samples[case]) for case, file in sorted(taken.files.items())]
    digest = sha256_json([FORMAT, name, rows, genes])
    path = options.out / FILES[name]
    held = state["tables"].get(name, {})
    if path.is_file() and held.get("digest") == digest:
        return str(held["holds"])
    progress(f"writing {name}", 0, 1)
    paths = {case: options.out / KEPT / name / f"{file.id}{_suffix(file)}" for case, file in taken.files.items()}
    if name == "expression":
        table = expression_table(paths, genes)
        write_expression(path, table)
        holds = f"{len(table)} {'' if genes else 'protein-coding '}genes of {len(table.columns)} patients, TPM"
    else:
        if name == "mutations":
            table = mutation_table({case: (paths[case], taken.samples[case]) for case in paths}, genes)
            rule = "" if genes else f" mutated in {SHARE:.0%} of them or more"
        else:
            table = copy_number_table(paths, genes or ())
            rule = " of the packaged panel" if options.aux_genes is None else ""
        write_patients_by_genes(path, table)
        holds = f"{len(table)} patients, {len(table.columns)} genes{rule}"
    progress(f"writing {name}", 1, 1)
    state["tables"][name] = {"digest": digest, "holds": holds}
    _save(options.out, state)
    return holds


def _genes(path: Path | None) -> tuple[str, ...] | None:
    return None if path is None else vocabulary(read_gmt(path))


def _state(out: Path) -> dict[str, Any]:
    path = out / KEPT / STATE
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError as exc:
        raise BadInput(f"{path}: expected JSON that this command wrote, got other text; delete the file") from exc


def _save(out: Path, state: Mapping[str, Any]) -> None:
    with replacing(out / KEPT / STATE) as draft:
        draft.write_text(json.dumps(state, indent=1), encoding="utf-8")


def _suffix(file: GdcFile) -> str:
    """What a file of the GDC ends with, .maf.gz and the like."""
    return next((s for s in (".maf.gz", ".maf", ".tsv.gz", ".tsv", ".txt") if file.name.endswith(s)), "")


def _bytes(size: int) -> str:
    value = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
