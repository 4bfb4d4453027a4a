"""Does stain normalisation take the hospital out of slides, and does a model then hold at hospitals it never saw?

A synthetic cohort whose hospitals differ in stain, and in which grades they have, is prepared without and with stain
normalisation. Half of the hospitals train and the other half are unseen, then the other way round, in three folds of
patients, the same for every setting. Beside them stand the corrections of features, on slides as they are.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.checkpoint import write_atomically
from shared.cohort.load import SitePatients
from shared.cohort.patients import Patients
from shared.errors import BadInput, CohortError
from shared.metrics import Scored, bootstrap_weights, measure, reasons
from shared.seeds import derive_seed
from shared.study import Study, read_study
from simulations.fold import Fold, load_sites
from simulations.ready import Progress, make_ready
from simulations.scores import Measured, score_arm
from simulations.site_signature.correct import fit_correction
from simulations.site_signature.measure import modality_values
from simulations.site_signature.meter import LEAST
from simulations.site_signature.stain_cohort import stain_hospitals, stain_kind
from simulations.site_signature.stain_figure import draw_stain_figure
from simulations.site_signature.stain_rows import METRIC, Found, row_of
from simulations.site_signature.stain_signature import stain_signature
from simulations.site_signature.stain_tables import stain_csv, stain_markdown
from simulations.synthetic import cohort_folder, write_cohort
from simulations.utility.in_memory import train_in_memory

__all__ = ["SETTINGS", "Options", "Setting", "stain_experiment"]

FOLDS = 3
DRAWS = 1000


@dataclass(frozen=True)
class Setting:
    """What is done to slides before they are features, and to features before they are trained on."""

    stain: str
    correction: str = "none"

    @property
    def name(self) -> str:
        """As tables and figures write it."""
        return self.stain if self.correction == "none" else f"{self.stain} + {self.correction}"


SETTINGS = (
    Setting("none"),
    Setting("reinhard"),
    Setting("macenko"),
    Setting("none", "site_scale"),
    Setting("none", "combat"),
)
"""The first is what all others are held against."""


@dataclass(frozen=True)
class Options:
    """What `python simulations/stain_shift.py` was asked to do."""

    spread: float = 2.0  # of the stains, 1 = the default cohort's
    scanner: bool = False  # differs from hospital to hospital too
    hospitals: int = 6  # three of them train: with more, stains average out and there is no gap to close
    patients: int = 24  # a hospital
    seeds: int = 4  # cohorts
    seed: int = 1  # of the first; the design was chosen on seed 0
    changes: tuple[str, ...] = ()  # --set key=value
    out: Path | None = None
    cache: Path = Path("cache")
    workers: int = 2
    command: str = "python simulations/stain_shift.py"

    def __post_init__(self) -> None:
        faults = []
        if not 0 <= self.spread <= 4:
            faults.append(f"--spread: expected 0 to 4, got {self.spread:g}; 1 is the default cohort's")
        if not 4 <= self.hospitals <= 36 or self.hospitals % 2:
            faults.append(f"--hospitals: expected an even number from 4 to 36, got {self.hospitals}; write e.g. 6")
        if self.patients < 4 * LEAST:
            faults.append(f"--patients: expected at least {4 * LEAST}, got {self.patients}; write e.g. 24")
        if self.seeds < 1 or self.seed < 0:
            faults.append(f"--seeds, --seed: expected at least 1 and 0, got {self.seeds} and {self.seed}; correct them")
        if self.out is not None and self.out.exists() and not self.out.is_dir():
            faults.append(f"--out: expected a folder, got the file {self.out}; name another")
        if faults:
            raise BadInput("\n".join(faults))


def stain_experiment(options: Options, progress: Progress) -> tuple[Path, dict[str, Any]]:
    """Run it all; returns the folder and the content of stain-shift.json.

    Raises
    ------
    BadInput
        An option or a setting is wrong.
    CohortError
        A setting lost patients that another kept, so that they could not be compared.
    """
    started = datetime.now(UTC)
    folder = options.out or Path("runs") / f"stain-shift-{started:%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True, exist_ok=True)
    table: dict[str, list[Found]] = {setting.name: [] for setting in SETTINGS}
    for number in range(options.seeds):
        seed = options.seed + number
        cohort = _cohort(options, seed, progress)
        prepared: dict[str, tuple[Study, Mapping[str, SitePatients]]] = {}
        for place, setting in enumerate(SETTINGS):
            progress("training", number * len(SETTINGS) + place, options.seeds * len(SETTINGS))
            if setting.stain not in prepared:
                prepared[setting.stain] = _prepared(options, cohort, setting.stain, seed, progress)
            _same_patients(prepared[SETTINGS[0].stain][1], prepared[setting.stain][1], setting)
            table[setting.name].append(_of_cohort(*prepared[setting.stain], setting, seed))
    progress("training", options.seeds * len(SETTINGS), options.seeds * len(SETTINGS))
    content = {
        "schema": 1,
        "command": options.command,
        "started": started.isoformat(timespec="seconds"),
        "spread": options.spread,
        "scanner": options.scanner,
        "hospitals": options.hospitals,
        "patients": options.patients,
        "seeds": [options.seed + number for number in range(options.seeds)],
        "metric": METRIC,
        "rows": [row_of(setting.name, table, SETTINGS[0].name) for setting in SETTINGS],
    }
    write_atomically(folder / "stain-shift.json", json.dumps(content, indent=1, allow_nan=False).encode())
    write_atomically(folder / "stain-shift.md", stain_markdown(content).encode())
    write_atomically(folder / "stain-shift.csv", stain_csv(content).encode())
    draw_stain_figure(content, folder)
    return folder, content


def _cohort(options: Options, seed: int, progress: Progress) -> Path:
    hospitals, kind = stain_hospitals(options.hospitals, options.patients), stain_kind(options.spread, options.scanner)
    folder = cohort_folder(options.cache, kind, seed, hospitals)
    write_cohort(
        folder,
        kind=kind,
        seed=seed,
        workers=options.workers,
        hospitals=hospitals,
        progress=lambda done, total: progress(f"drawing cohort {seed}", done, total),
    )
    return folder


def _prepared(
    options: Options, cohort: Path, stain: str, seed: int, progress: Progress
) -> tuple[Study, Mapping[str, SitePatients]]:
    """The default study on slides alone, and every hospital's patients with a feature store of that stain."""
    with as_file(files("simulations.studies").joinpath("default.toml")) as path:
        study = read_study(path)
    settings = ("modalities.expression=false", "modalities.blood=false", *options.changes, f"seed={seed}")
    ready = make_ready(
        study,
        cohort=str(cohort),
        settings=(*settings, f'modalities.slides.stain="{stain}"'),
        cache=options.cache,
        workers=options.workers,
        progress=lambda what, done, total: progress(f"{what}, {stain}", done, total),
    )
    return ready.study, load_sites(ready.hospitals, ready.study)[0]


def _same_patients(first: Mapping[str, SitePatients], other: Mapping[str, SitePatients], setting: Setting) -> None:
    """CohortError unless both have the same patients."""
    sides = [{case for data in sites.values() for case in data.patients.case_id.tolist()} for sites in (first, other)]
    if sides[0] != sides[1]:
        raise CohortError(
            f"expected the same patients with stain {setting.stain} as without, got {len(sides[0] ^ sides[1])} that "
            "differ: a slide could not be normalised; draw another cohort with --seed"
        )


def _of_cohort(study: Study, sites: Mapping[str, SitePatients], setting: Setting, seed: int) -> Found:
    """One setting on one cohort: its signature, and the scores of every fold and half of the hospitals.

    Every patient is scored twice: once by the half that the own hospital trains in, held out of it, and once by the
    other half, as a stranger. So own and unseen are the same patients, and their difference is not one of patients.
    """
    names = sorted(sites)
    halves = tuple(names[0::2]), tuple(names[1::2])
    pairs = []
    for number in range(FOLDS):
        divided = {site: replace(data, test=_fold_of(data, seed, site) == number) for site, data in sites.items()}
        own, unseen = {}, {}
        for half, training in enumerate(halves):
            fold = Fold(study, _corrected(divided, training, setting.correction), training)
            scores = score_arm(fold, train_in_memory(fold))
            held_out = np.concatenate([divided[site].test for site in halves[1 - half]])
            own[half], unseen[1 - half] = scores.own, scores.unseen[0].take(np.flatnonzero(held_out))
        for half in range(len(halves)):
            weights = bootstrap_weights(len(own[half]), DRAWS, derive_seed(seed, "draws", number, half))
            pairs.append((_measured(own[half], weights), _measured(unseen[half], weights)))
    return Found(stain_signature(sites, setting.correction, seed), pairs)


def _fold_of(data: SitePatients, seed: int, site: str) -> NDArray[np.int64]:
    """(P,) the fold that holds each patient out, the same for every setting; each has its share of each class."""
    cases = np.argsort(data.patients.case_id, kind="stable")
    drawn = np.random.default_rng(derive_seed(seed, "fold", site)).permutation(cases)
    ordered = drawn[np.argsort(data.patients.y[drawn], kind="stable")]
    fold = np.empty(len(ordered), np.int64)
    fold[ordered] = np.arange(len(ordered)) % FOLDS
    return fold


def _measured(scored: Scored, weights: NDArray[np.float64]) -> Measured:
    return Measured(measure(scored), measure(scored, weights), reasons(scored), len(scored), None)


def _corrected(
    sites: Mapping[str, SitePatients], training: tuple[str, ...], correction: str
) -> Mapping[str, SitePatients]:
    """All bags corrected by a fit on the training patients, and on unseen hospitals as they are, without labels."""
    if correction == "none":
        return sites
    parts = [data.patients.take(~data.test) if site in training else data.patients for site, data in sites.items()]
    reference = Patients.concatenate(parts)
    classes = np.where(np.isin(reference.site, training), reference.y, -1)
    correct = fit_correction(correction, modality_values(reference, "slides"), reference.site, classes)
    corrected = {}
    for site, data in sites.items():
        bags = tuple(
            correct(bag.astype(np.float64), np.full(len(bag), site)).astype(np.float32) for bag in data.patients.bags
        )
        corrected[site] = replace(data, patients=replace(data.patients, bags=bags))
    return corrected
