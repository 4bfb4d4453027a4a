"""All slides of a site: whose each is, what became of it, and which bags the store holds."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from client.prepare.encoders.table import Encoder
from client.prepare.fingerprint import FileHashes
from client.prepare.patients import Roster
from client.prepare.report import PrepareReport
from client.prepare.slides.bag import encode_slide, is_encoded
from shared.cohort.store_files import read_bag_attributes, remove_drafts
from shared.cohort.tables import SLIDE_SUFFIXES, read_slides
from shared.errors import SlideError
from shared.site import Site
from shared.study import Slides

__all__ = ["Bags", "Progress", "prepare_slides"]

Progress = Callable[[str, int, int], None]
"""Called with (modality, done, total)."""


@dataclass
class Bags:
    """The slide files of a store."""

    slides: dict[str, list[str]] = field(default_factory=dict)  # patient key -> slide ids in order
    patches: dict[str, int] = field(default_factory=dict)  # slide id -> patches


@dataclass(frozen=True)
class SlideJob:
    """One slide of one patient."""

    key: str
    case_id: str
    source: Path
    target: Path
    sha256: str


@dataclass(frozen=True)
class Outcome:
    """What became of one slide: its patches, or why there are none."""

    patches: int
    fault: str
    seconds: float


def prepare_slides(
    site: Site,
    settings: Slides,
    encoder: Encoder,
    roster: Roster,
    folder: Path,
    hashes: FileHashes,
    report: PrepareReport,
    progress: Progress,
) -> Bags:
    """Encode every slide of every patient of the roster into `folder`; a slide that is there already is kept.

    A slide that cannot be used is recorded and the others go on. The features do not depend on the number of workers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_drafts(folder)
    jobs = _jobs(site, roster, folder, hashes, report)

    def work(job: SlideJob) -> Outcome:
        return _encode(job, settings, encoder)

    outcomes = _all(jobs, work, site.compute.workers, progress)
    bags = Bags()
    for job, outcome in zip(jobs, outcomes, strict=True):
        report.add(
            f"slides/{job.source.name}",
            "left out" if outcome.fault else "used",
            outcome.fault or f"{outcome.patches} patches",
            key=job.key,
            case_id=job.case_id,
            seconds=outcome.seconds,
        )
        if not outcome.fault:
            bags.slides.setdefault(job.key, []).append(job.target.stem)
            bags.patches[job.target.stem] = outcome.patches
    return bags


def _jobs(site: Site, roster: Roster, folder: Path, hashes: FileHashes, report: PrepareReport) -> list[SlideJob]:
    """The slides of the roster's patients that are there as files; all others are recorded."""
    listed = read_slides(site.data)
    jobs, known = [], set[Path]()
    for case_id, slide_id, path in [] if listed is None else listed.itertuples(index=False):
        if path is not None:
            known.add(path)
        if case_id in roster.excluded:
            continue
        name = f"slides/{slide_id if path is None else path.name}"
        key = roster.keys.get(case_id, "")
        if not key:
            report.add(name, "left out", "not in clinical.tsv", case_id=case_id)
        elif path is None:
            report.add(name, "left out", "listed in slides.tsv, but no such file", key=key, case_id=case_id)
        else:
            jobs.append(SlideJob(key, case_id, path, folder / f"{slide_id}.h5", hashes.of(path)))
    slides = site.data / "slides"
    for path in sorted(slides.iterdir()) if slides.is_dir() else []:
        if path.suffix.lower() in SLIDE_SUFFIXES and path not in known:
            report.add(f"slides/{path.name}", "left out", "not listed in slides.tsv, so nobody's")
    return jobs


def _encode(job: SlideJob, settings: Slides, encoder: Encoder) -> Outcome:
    start = time.perf_counter()
    if is_encoded(job.target, job.sha256, encoder.sha256):
        return Outcome(int(read_bag_attributes(job.target)["patches"]), "", 0.0)
    try:
        patches = encode_slide(job.source, job.target, job.sha256, settings, encoder)
    except SlideError as exc:
        return Outcome(0, str(exc), time.perf_counter() - start)
    return Outcome(patches, "", time.perf_counter() - start)


def _all(jobs: list[SlideJob], work: Callable[[SlideJob], Outcome], workers: int, progress: Progress) -> list[Outcome]:
    """`work` on every job, `workers` at a time, outcomes in the order of the jobs."""
    with _one_torch_thread():
        pool = ThreadPoolExecutor(workers)
        try:
            futures = [pool.submit(work, job) for job in jobs]
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                progress("slides", done, len(jobs))
            return [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """One thread a forward pass: the workers share the cores, and sums come out the same on every machine size."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
