"""Everything that comes before the first training: cohort -> study that fits it -> hospitals -> feature stores."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from client.prepare.preparation import prepare
from client.prepare.settings import PrepareSettings
from shared.cohort.tables import read_clinical
from shared.errors import CohortError, NoPatients
from shared.site import read_site
from shared.study import DetectionTask, Study
from simulations.adapt import adapt, override
from simulations.disclosure_file import disclosure_notes
from simulations.hospitals import Hospital, split_cohort, split_of
from simulations.left_out_file import left_out_of
from simulations.lung_cohort import LUNG, write_lung
from simulations.synthetic import KINDS, MARKER, cohort_folder, write_cohort
from simulations.tcga.merge_small import Rule

__all__ = ["Progress", "Ready", "make_ready", "prepare_hospitals"]

Progress = Callable[[str, int, int], None]
"""(what is being done, steps done, steps in all)"""


@dataclass(frozen=True)
class Ready:
    """A cohort split by hospital and prepared, and the study as it fits it."""

    study: Study
    cohort: Path
    synthetic: bool  # mmfed's own
    everyone: list[Hospital]
    hospitals: list[Hospital]  # those with a patient that the study can use
    notes: tuple[str, ...]  # one sentence for everything that was changed to fit
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> patients of its source, not in the cohort
    split: str = ""  # what tells the hospitals apart, as --split takes it


def make_ready(
    study: Study,
    *,
    cohort: str,
    split: str | None = None,
    settings: Sequence[str] = (),
    study_folder: Path | None = None,
    cache: Path = Path("cache"),
    workers: int = 2,
    merge: Rule = "none",
    least: int = 20,
    progress: Progress,
    check: Callable[["Ready"], None] = lambda ready: None,
) -> Ready:
    """Draw or find the cohort, fit the study to it, split it by hospital and prepare every hospital.

    Parameters
    ----------
    cohort
        A folder, or the name of a packaged one.
    split
        How a patient's hospital is found, as in `split_cohort`.
    settings
        `--set key=value`, applied to the study first.
    study_folder
        Folder of the study file, to which a GMT path is relative.
    merge, least
        How tissue source sites of fewer than `least` patients are put together, as in `split_cohort`.
    check
        Is shown everything before any hospital is prepared, and may refuse it.

    Raises
    ------
    BadInput
        The study, a setting or the cohort is wrong.
    """
    written = override(study, settings)
    folder, synthetic, known = _cohort_of(cohort, written.seed, cache, workers, progress)
    fitting, changed = adapt(written, folder, synthetic=synthetic, folder=study_folder, told=f"--cohort {cohort}")
    split = split_of(read_clinical(folder), split)
    missing = left_out_of(folder)
    said: list[str] = []
    notes = [*known, *disclosure_notes(folder), *changed, *_split_notes(fitting, split)]
    everyone = split_cohort(folder, split, cache / "hospitals", merge=merge, least=least, say=said.append)
    if not synthetic or merge != "none":  # the site codes of a synthetic cohort are made up
        notes += said
    ready = Ready(fitting, folder, synthetic, everyone, everyone, tuple(notes), missing, split)
    check(ready)
    return replace(ready, hospitals=prepare_hospitals(everyone, fitting, progress))


def _split_notes(study: Study, split: str) -> list[str]:
    """A sentence where the column that tells hospitals apart is one that the study learns from or predicts."""
    column, clinical = split.removeprefix("column:"), study.modalities.clinical
    if clinical is not None and column in clinical.columns:
        used = "a clinical input of the model, and the same for all patients of a hospital"
    elif column in getattr(study.task, "columns", ()):
        used = "what the study predicts, so that every hospital has patients of one class"
    else:
        return []
    return [f"The patients are split by {column}, which is also {used}: choose another --split."]


def _cohort_of(name: str, seed: int, cache: Path, workers: int, progress: Progress) -> tuple[Path, bool, list[str]]:
    """The cohort folder, whether it is mmfed's own synthetic one, and what a reader must know of a packaged one."""
    if name == LUNG:
        folder, known = write_lung(cache)
        return folder, False, known
    kind = next((kind for kind in KINDS if kind.cohort == name), None)
    if kind is None:
        folder = Path(name)
        if not folder.is_dir():
            names = ", ".join(f"`{name}`" for name in (*(kind.cohort for kind in KINDS), LUNG))
            if folder.name != name:
                raise CohortError(f"--cohort: expected a folder, got no such folder {name!r}; check the path")
            raise CohortError(f"--cohort: expected a folder or one of {names}, got {name!r}; check the path")
        return folder, (folder / MARKER).is_file(), []
    folder = cohort_folder(cache, kind, seed)
    write_cohort(
        folder,
        kind=kind,
        seed=seed,
        workers=workers,
        progress=lambda done, total: progress("drawing the cohort", done, total),
    )
    return folder, True, []


def prepare_hospitals(hospitals: list[Hospital], study: Study, progress: Progress) -> list[Hospital]:
    """Every hospital's feature store; a hospital whose patients have none of the study's modalities is left out.

    A detection study reads pictures: nothing is prepared, and everybody stays.
    """
    if isinstance(study.task, DetectionTask):
        return hospitals
    settings, able = PrepareSettings.of(study), []
    for i, hospital in enumerate(hospitals):
        progress("preparing hospitals", i, len(hospitals))
        try:
            prepare(read_site(hospital.site_file), settings)
        except NoPatients:
            continue
        able.append(hospital)
    progress("preparing hospitals", len(hospitals), len(hospitals))
    return able
