"""Write a whole synthetic cohort into a folder, and go on where an interrupted one stopped."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from shared.errors import CohortError
from simulations.synthetic.annotation import write_lesion
from simulations.synthetic.aperio import write_aperio
from simulations.synthetic.biology import Patient, draw_patients
from simulations.synthetic.hospitals import DEFAULT_HOSPITALS, Hospital
from simulations.synthetic.looks import Look, draw_look
from simulations.synthetic.slides import render_slide
from simulations.synthetic.streams import Purpose, stream
from simulations.synthetic.tables import slide_id, write_tables

__all__ = ["GENERATOR_VERSION", "MARKER", "cohort_digest", "read_marker", "write_cohort"]

GENERATOR_VERSION = 1
"""Raised whenever equal seeds give other bytes than before."""

MARKER = "SYNTHETIC"
"""The file that says a cohort folder was generated and is complete."""

PARTIAL = "SYNTHETIC.partial"
MPP = 0.5
POWER = 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SlideJob:
    """Everything one worker needs to write one slide."""

    path: Path
    patient: Patient
    look: Look
    seed: int


def write_cohort(
    folder: Path,
    *,
    seed: int = 0,
    workers: int = 2,
    progress: Progress | None = None,
    hospitals: Sequence[Hospital] = DEFAULT_HOSPITALS,
) -> None:
    """Write the cohort folder of ARCHITECTURE.md section 6, bit for bit the same for any number of workers.

    `progress` is called with (slides done, slides in all). A folder that already holds this cohort is left as it is;
    one whose writing was interrupted is completed, and the slides it has are kept. Raises CohortError if the folder
    holds anything else.
    """
    settings = _settings(seed, hospitals)
    if _complete(folder, settings):
        return
    (folder / "slides").mkdir(parents=True, exist_ok=True)
    _replace(folder / PARTIAL, lambda path: path.write_text(settings, encoding="utf-8"))
    patients = [patient for hospital in hospitals for patient in draw_patients(hospital, seed)]
    write_tables(folder, patients, seed)
    _write_slides(_jobs(folder, patients, seed), workers, progress)
    (folder / PARTIAL).replace(folder / MARKER)


def cohort_digest(seed: int = 0, hospitals: Sequence[Hospital] = DEFAULT_HOSPITALS) -> str:
    """Twelve hex digits that name a cohort: another seed, hospital or generator version gives another."""
    return hashlib.sha256(_settings(seed, hospitals).encode()).hexdigest()[:12]


def read_marker(folder: Path) -> dict[str, Any] | None:
    """What the marker says (`schema`, `generator`, `seed`, `modalities`, `hospitals`); None if not synthetic."""
    path = folder / MARKER
    if not path.is_file():
        return None
    marker: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return marker


def _settings(seed: int, hospitals: Sequence[Hospital]) -> str:
    marker = {
        "schema": 1,
        "generator": GENERATOR_VERSION,
        "seed": seed,
        "modalities": ["slides", "expression", "blood", "clinical"],
        "hospitals": [asdict(hospital) for hospital in hospitals],
    }
    return json.dumps(marker, indent=1) + "\n"


def _complete(folder: Path, settings: str) -> bool:
    """Whether the folder holds this very cohort; False if it is empty or was interrupted."""
    for name in (MARKER, PARTIAL):
        path = folder / name
        if path.is_file():
            if path.read_text(encoding="utf-8") == settings:
                return name == MARKER
            raise CohortError(
                f"{folder}: expected an empty folder or this synthetic cohort, got another synthetic cohort "
                f"({name} differs); remove the folder or choose another"
            )
    if folder.exists() and any(folder.iterdir()):
        raise CohortError(f"{folder}: expected an empty folder, got other files; choose another folder")
    return False


def _jobs(folder: Path, patients: Sequence[Patient], seed: int) -> Iterator[SlideJob]:
    codes = {patient.hospital for patient in patients}
    looks = {code: draw_look(stream(seed, Purpose.LOOK, code)) for code in codes}
    for patient in patients:
        if patient.has_slide:
            path = folder / "slides" / f"{slide_id(patient)}.svs"
            yield SlideJob(path, patient, looks[patient.hospital], seed)


def _write_slides(jobs: Iterator[SlideJob], workers: int, progress: Progress | None) -> None:
    every = list(jobs)
    missing = [job for job in every if not job.path.exists()]
    done = len(every) - len(missing)
    for _ in _run(missing, workers):
        done += 1
        if progress is not None:
            progress(done, len(every))


def _run(jobs: Sequence[SlideJob], workers: int) -> Iterator[None]:
    if workers <= 1 or len(jobs) <= 1:
        yield from map(_write_slide, jobs)
        return
    # "spawn": forking a process that already runs threads (torch, progress bars) can hang
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write_slide, jobs, chunksize=4)


def _write_slide(job: SlideJob) -> None:
    patient = job.patient
    seeds = stream(job.seed, Purpose.SLIDE, patient.hospital, patient.index)
    slide = render_slide(patient.morphology, job.look, seeds)
    write_lesion(job.path.with_suffix(".geojson"), slide.lesion)  # first: an existing .svs says both are done
    _replace(
        job.path,
        lambda path: write_aperio(path, slide.pixels, mpp=MPP, power=POWER, jpeg_quality=job.look.jpeg_quality),
    )


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: readers see the whole file or none."""
    part = path.with_name(path.name + ".part")
    write(part)
    part.replace(path)
