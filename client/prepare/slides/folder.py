"""All slides of a site: whose each is, what became of it, and which bags the store holds."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from client.prepare.encoders import Encoder
from client.prepare.encoders.torch_threads import one_torch_thread
from client.prepare.fingerprint import FileHashes
from client.prepare.patients import Roster
from client.prepare.report import PrepareReport, Progress
from client.prepare.slides.bag import draw_again, encode_slide, first_batch
from client.prepare.slides.finished import identity, is_encoded, take_from_another_store, thumbnail_of
from client.prepare.slides.jobs import SlideJob, find_jobs
from client.prepare.slides.outside import take_features
from client.prepare.slides.pipeline import Crew
from shared.cohort.bag_files import read_bag_attributes
from shared.cohort.drafts import remove_drafts
from shared.errors import SlideError
from shared.site import Site
from shared.study import Slides

__all__ = ["Bags", "prepare_slides"]


@dataclass
class Bags:
    """The slide files of a store."""

    slides: dict[str, list[str]] = field(default_factory=dict)  # patient key -> slide ids in order
    patches: dict[str, int] = field(default_factory=dict)  # slide id -> patches


@dataclass(frozen=True)
class Outcome:
    """What became of one slide: its patches and what is worth knowing, or why there are none."""

    patches: int = 0
    warning: str = ""
    fault: str = ""
    seconds: float = 0.0


def prepare_slides(
    site: Site,
    settings: Slides,
    encoder: Encoder | None,
    roster: Roster,
    folder: Path,
    hashes: FileHashes,
    report: PrepareReport,
    progress: Progress,
) -> Bags:
    """Bring the bag of every slide of every patient of the roster into `folder`, each slide's picture beside it.

    A slide that is there already is kept, and one that another store of the site has is shared with it; features that
    were made elsewhere are taken as they are. A slide that cannot be used is recorded and the others go on. The bytes
    depend on neither the number of workers nor on timing.

    Raises
    ------
    OSError
        The store cannot be written; drafts are gone then, and finished slides stay.
    EncoderError
        The encoder is too far from fp32, or refuses the tiles.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_drafts(folder)
    remove_drafts(folder.parent / "thumbnails")
    jobs = find_jobs(site, settings, folder, roster, hashes, report)
    with one_torch_thread():
        if encoder is not None:
            encoder = _verified(jobs, settings, encoder)
            if encoder.note:
                report.add(f"encoder {encoder.name}", "noted", encoder.note)
        with Crew(site.compute.workers, encoder.workers if encoder else 1) as crew:
            work = partial(_outcome, site=site, settings=settings, encoder=encoder, crew=crew)
            outcomes = _all(jobs, work, crew, progress)
    bags = Bags()
    for job, outcome in zip(jobs, outcomes, strict=True):
        _record(job, outcome, bags, report)
    return bags


def _outcome(job: SlideJob, site: Site, settings: Slides, encoder: Encoder | None, crew: Crew) -> Outcome:
    start = time.perf_counter()
    try:
        worked = _bring(job, site, settings, encoder, crew)
    except SlideError as exc:
        return Outcome(fault=str(exc), seconds=time.perf_counter() - start)
    attributes = read_bag_attributes(job.target)
    seconds = time.perf_counter() - start if worked else 0.0
    return Outcome(int(attributes["patches"]), str(attributes.get("warning", "")), seconds=seconds)


def _bring(job: SlideJob, site: Site, settings: Slides, encoder: Encoder | None, crew: Crew) -> bool:
    """See to it that the slide's bag is in the store; whether there was work to do."""
    if job.imported and site.features is not None:
        return take_features(job, settings, site.features)
    if encoder is None:
        raise SlideError(
            "expected a file of this slide's features, since [features] of the site file says that they were made "
            "elsewhere, got none; add it to features/slides, or take [features] out to encode all slides here"
        )
    return _encode(job, settings, encoder, crew)


def _encode(job: SlideJob, settings: Slides, encoder: Encoder, crew: Crew) -> bool:
    """Make the bag and the picture of one slide where they are not there yet; whether there was work to do."""
    wanted = identity(settings, encoder, job.sha256, job.written_mpp)
    if not is_encoded(job.target, wanted, job.source) and not take_from_another_store(job.target, wanted, job.source):
        encode_slide(job.source, job.target, job.sha256, job.written_mpp, settings, encoder, crew)
        return True
    if thumbnail_of(job.target).is_file():
        return False
    draw_again(job.source, job.target, job.written_mpp, settings)
    return True


def _verified(jobs: list[SlideJob], settings: Slides, encoder: Encoder) -> Encoder:
    """The encoder, in bf16 held against fp32 on the first tiles of the first usable slide.

    Always those, finished or not, so that a run that goes on after a kill comes to the same answer.
    """
    if encoder.precision == "fp32":
        return encoder
    with Crew(encoder.workers, 1) as crew:
        for job in jobs:
            if job.imported:
                continue
            try:
                tiles = first_batch(job.source, job.written_mpp, settings, encoder.batch, crew)
            except SlideError:
                continue  # recorded when its turn comes
            return encoder.verified(tiles)
    return encoder


def _all(jobs: list[SlideJob], work: Callable[[SlideJob], Outcome], crew: Crew, progress: Progress) -> list[Outcome]:
    """`work` on every job, outcomes in the order of the jobs.

    At least two at a time: while the tiles of one slide are encoded, the next is opened and looked at.
    """
    pool = ThreadPoolExecutor(max(2, crew.readers), "slide")
    futures: list[Future[Outcome]] = []
    try:
        futures += [pool.submit(work, job) for job in jobs]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            progress("slides", done, len(jobs))
        return [future.result() for future in futures]
    finally:
        crew.stop()
        pool.shutdown(cancel_futures=True)


def _record(job: SlideJob, outcome: Outcome, bags: Bags, report: PrepareReport) -> None:
    made = "patches, made elsewhere" if job.imported else "patches"
    used = "; ".join(filter(None, (f"{outcome.patches} {made}", outcome.warning)))
    report.add(
        job.name,
        "left out" if outcome.fault else "used",
        outcome.fault or used,
        key=job.key,
        case_id=job.case_id,
        seconds=outcome.seconds,
    )
    if not outcome.fault:
        bags.slides.setdefault(job.key, []).append(job.slide_id)
        bags.patches[job.slide_id] = outcome.patches
