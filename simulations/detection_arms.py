"""The arms of a detection study: the three ways of training of CONTRACT.md section 7, on pictures."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.numpy import load_file

from client.detection.pictures import Example, SitePictures, load_pictures
from client.detection.training import train_round
from server.results import read_rounds
from server.rounds import learning_rate
from shared.cohort.imaging_sheet import read_imaging
from shared.cohort.tables import read_exclusions
from shared.digests import sha256_file, sha256_json
from shared.errors import CohortError, Refused, StudyError
from shared.models.yolo import Yolo
from shared.seeds import derive_seed
from shared.site import read_site
from shared.study import Study
from shared.weights import Arrays, new_model, take_arrays
from simulations.arms import federate
from simulations.engine import Engine
from simulations.hospitals import Hospital
from simulations.inline import InlineGrid

__all__ = ["PictureFold", "TrainedDetectors", "make_picture_fold", "train_detectors", "training_device"]


@dataclass(frozen=True)
class PictureFold:
    """Sites in `training` train and test on their own patients; the other sites that mark lesions are unseen."""

    study: Study
    sites: Mapping[str, SitePictures]
    training: tuple[str, ...]
    excluded: Counter[str]  # reason -> patients, or pictures, left out

    @property
    def unseen(self) -> dict[str, tuple[Example, ...]]:
        """Site -> all its pictures, of sites that never train."""
        return {s: (*data.train, *data.test) for s, data in sorted(self.sites.items()) if s not in self.training}


@dataclass(frozen=True)
class TrainedDetectors:
    """An arm after training: one network for all under "", or a network a site, or both (a site's own statistics)."""

    networks: Mapping[str, Arrays]
    seconds: float
    rounds: list[dict[str, Any]]


def make_picture_fold(hospitals: Sequence[Hospital], study: Study, least: int) -> PictureFold:
    """Read every hospital's pictures, without patients of exclude.csv.

    Sites with at least `least` patients train, less those that their own `min_patients` keeps out.

    Raises
    ------
    CohortError
        Fewer training sites than the study's quorum.
    StudyError
        The study keeps no test patients.
    """
    if not study.split.test_fraction:
        raise StudyError("split.test_fraction: expected more than 0 for detection, got 0; correct it")
    sites: dict[str, SitePictures] = {}
    large: list[str] = []
    excluded: Counter[str] = Counter()
    for hospital in hospitals:
        site = read_site(hospital.site_file)
        withdrawn = read_exclusions(site.data)
        try:
            found = load_pictures(site, study, withdrawn)
        except Refused:
            cases = {image.case_id for image in read_imaging(site.data) or []}
            excluded["a hospital that marks no lesion"] += len(cases - withdrawn)
            excluded["exclude.csv"] += len(cases & withdrawn)
            continue
        sites[hospital.id] = found
        excluded.update(found.excluded)
        if found.patients >= site.disclosure.min_patients and found.patients + len(found.boxed) >= least:
            large.append(hospital.id)
    if len(large) < study.federation.quorum:
        raise CohortError(
            f"expected at least {study.federation.quorum} sites with {least} patients on whose pictures lesions are "
            f"marked and as many for training as their min_patients asks for, got {len(large)} of {len(hospitals)}; "
            "lower --min-site-patients or choose another cohort"
        )
    return PictureFold(study, sites, tuple(sorted(large)), +excluded)


def train_detectors(
    arm: str, fold: PictureFold, hospitals: Sequence[Hospital], folder: Path, engine: Engine = InlineGrid
) -> TrainedDetectors:
    """Train one arm; `folder` takes the checkpoints of the federated one."""
    started = time.perf_counter()
    if arm == "federated":
        members = [hospital for hospital in hospitals if hospital.id in fold.training]
        run, own = federate(fold.study, members, folder / _inputs_name(fold.study, members), engine)
        arrays: Arrays = load_file(run / "model.safetensors")
        networks = {"": arrays, **{site: {**arrays, **kept} for site, kept in own.items()}}
        return TrainedDetectors(networks, time.perf_counter() - started, read_rounds(run))
    parts = {site: fold.sites[site].train for site in fold.training}
    if arm == "pooled":
        parts = {"": tuple(example for part in parts.values() for example in part)}
    trained = {name: _train_alone(fold.study, part, name or arm) for name, part in parts.items()}
    losses = np.mean([history for _, history in trained.values()], axis=0)
    rounds = [{"round": i, "loss": float(loss), "sites": {}} for i, loss in enumerate(losses, start=1)]
    return TrainedDetectors({n: arrays for n, (arrays, _) in trained.items()}, time.perf_counter() - started, rounds)


def _inputs_name(study: Study, members: Sequence[Hospital]) -> str:
    """A name for what the federated arm depends on, so that a run goes on only where nothing has changed.

    A hospital's folder lies in one whose name holds a digest of every input.
    """
    sheets = {
        member.id: [member.folder.parent.name, sha256_file(read_site(member.site_file).data / "imaging.csv")]
        for member in members
    }
    return sha256_json([study.digest, sheets])[:12]


def training_device() -> torch.device:
    """Where every arm trains and is scored."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _train_alone(study: Study, examples: Sequence[Example], name: str) -> tuple[Arrays, list[float]]:
    """The rounds of the federation with one participant; the loss of each."""
    model, losses = cast(Yolo, new_model(study).to(training_device())), []
    patients = len({example.case_id for example in examples}) * study.training.local_epochs
    for round_ in range(1, study.training.rounds + 1):
        seed = derive_seed(study.digest, name, round_)
        result = train_round(model, examples, study, learning_rate=learning_rate(study, round_), seed=seed)
        losses.append(result.loss_sum / patients)
    return take_arrays(model), losses
