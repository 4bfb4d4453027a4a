"""Write a whole synthetic cohort into a folder, and go on where an interrupted one stopped."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from shared.errors import CohortError
from simulations.synthetic.glioma import GLIOMA
from simulations.synthetic.kinds import Job, Kind

__all__ = ["MARKER", "cohort_digest", "cohort_folder", "read_marker", "write_cohort"]

MARKER = "SYNTHETIC"
"""The file that says a cohort folder was generated and is complete."""

PARTIAL = "SYNTHETIC.partial"

Progress = Callable[[int, int], None]


def write_cohort(
    folder: Path,
    *,
    kind: Kind = GLIOMA,
    seed: int = 0,
    workers: int = 2,
    progress: Progress | None = None,
    hospitals: Sequence[Any] | None = None,
) -> None:
    """Write the cohort folder of ARCHITECTURE.md section 6, bit for bit the same for any number of workers.

    `progress` is called with (files done, files in all); tables are not counted. `hospitals` are the kind's own unless
    others are given. A folder that already holds this cohort is left as it is; one whose writing was interrupted is
    completed, and the slides and images it has are kept. Raises CohortError if the folder holds anything else.
    """
    settings = _settings(kind, seed, hospitals)
    if _complete(folder, settings):
        return
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / PARTIAL, lambda path: path.write_text(settings, encoding="utf-8"))
    _write_files(kind.begin(folder, hospitals or kind.hospitals, seed), workers, progress)
    (folder / PARTIAL).replace(folder / MARKER)


def cohort_digest(seed: int = 0, hospitals: Sequence[Any] | None = None, kind: Kind = GLIOMA) -> str:
    """Twelve hex digits that name a cohort: another kind, seed, hospital or generator version gives another."""
    return hashlib.sha256(_settings(kind, seed, hospitals).encode()).hexdigest()[:12]


def cohort_folder(cache: Path, kind: Kind, seed: int, hospitals: Sequence[Any] | None = None) -> Path:
    """Where a cohort is kept under a cache folder: the default one of its kind unless `hospitals` are given."""
    return cache / "cohorts" / f"{kind.cohort}-{cohort_digest(seed, hospitals, kind)}"


def read_marker(folder: Path) -> dict[str, Any] | None:
    """What the marker says: `schema`, `kind`, `generator`, `seed`, `modalities`, `hospitals`; None if not synthetic."""
    path = folder / MARKER
    if not path.is_file():
        return None
    marker: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return marker


def _settings(kind: Kind, seed: int, hospitals: Sequence[Any] | None) -> str:
    marker = {
        "schema": 1,
        "kind": kind.name,
        "generator": kind.version,
        "seed": seed,
        "modalities": list(kind.modalities),
        "hospitals": [asdict(hospital) for hospital in hospitals or kind.hospitals],
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


def _write_files(jobs: Sequence[Job], workers: int, progress: Progress | None) -> None:
    missing = [job for job in jobs if not job.path.exists()]
    done = len(jobs) - len(missing)
    for _ in _run(missing, workers):
        done += 1
        if progress is not None:
            progress(done, len(jobs))


def _run(jobs: Sequence[Job], workers: int) -> Iterator[None]:
    if workers <= 1 or len(jobs) <= 1:
        yield from map(_write_file, jobs)
        return
    # "spawn": forking a process that already runs threads (torch, progress bars) can hang
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write_file, jobs, chunksize=4)


def _write_file(job: Job) -> None:
    _replace(job.path, job.write)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: readers see the whole file or none."""
    part = path.with_name(path.name + ".part")
    write(part)
    part.replace(path)
