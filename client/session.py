"""What a site keeps warm for one study: its patients, what it may send, and the model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from client.approvals import approvals_file
from client.detection.session import DetectionSession
from client.device import device_of
from client.gate import admit
from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.load import SitePatients, load_patients
from shared.cohort.normalise import GeneStatistics
from shared.cohort.patients import Patients
from shared.cohort.store import FeatureStore
from shared.cohort.tables import read_exclusions
from shared.errors import Refused
from shared.site import Site, read_site
from shared.study import DetectionTask, Study, parse_study
from shared.weights import new_model

__all__ = ["Session", "admitted_session", "forget_sessions", "warm_model"]


class Session:
    """One site, ready to train one study.

    A modality with fewer than `min_patients` training patients is not held: it counts as absent at this site, and
    its branch is neither trained nor sent. A further head that knows fewer learns nothing here.

    Raises
    ------
    Refused
        NOT_PREPARED, NO_PATIENTS, GENES_MISMATCH or TOO_FEW_PATIENTS.
    """

    def __init__(self, site: Site, study: Study) -> None:
        self.site, self.study, self.study_json = site, study, study.canonical()
        folder = store_folder(site, PrepareSettings.of(study))
        if not (folder / "manifest.json").is_file():
            raise Refused("NOT_PREPARED", f"expected a feature store in {folder}, got none; run `mmfed-client prepare`")
        withdrawn = read_exclusions(site.data)
        self.data: SitePatients = load_patients(FeatureStore.open(folder), study, site.expression.scale, withdrawn)
        train, least = self.data.patients.take(~self.data.test), site.disclosure.min_patients
        if len(train) < least:
            raise Refused(
                "TOO_FEW_PATIENTS",
                f"expected at least {least} training patients, got {len(train)}; this site cannot take part",
            )
        self.held = tuple(name for name in study.modalities.names if train.count(name) >= least)
        self.unlearnt = np.flatnonzero((train.further_y >= 0).sum(axis=0) < least)  # places of further heads
        self.counts: Mapping[str, int] = {**{name: train.count(name) for name in self.held}, "fusion": len(train)}
        self._ready: tuple[bytes, Patients, Patients] | None = None

    @cached_property
    def device(self) -> torch.device:
        """Where this site computes."""
        return device_of(self.site)

    def patients(self, statistics: GeneStatistics | None) -> tuple[Patients, Patients]:
        """Training and test patients as the model takes them; kept while the statistics stay the same."""
        name = b"" if statistics is None else statistics.table.tobytes()
        if self._ready is None or self._ready[0] != name:
            every = self.data.normalised(self.study, statistics).only(self.held).without_heads(self.unlearnt)
            self._ready = (name, every.take(~self.data.test), every.take(self.data.test))
        return self._ready[1], self._ready[2]


@dataclass(frozen=True, eq=False)
class Admitted:
    """A study that passed the gate; hashed by identity, since it is remembered itself."""

    study: Study


def admitted_session(site_file: Path, study: str, digest: str, digest_in_message: str) -> Session | DetectionSession:
    """Pass the gate, then open the session.

    Both are remembered while the site file, the approvals, exclude.csv and the feature store (or imaging.csv, for a
    detection study) stay as they are.

    Parameters
    ----------
    study, digest
        As in the run config: canonical JSON in base64, and the digest the coordinator gives it.
    digest_in_message
        As in the order.
    """
    site = _site(site_file, _changed(site_file))
    approvals = _changed(approvals_file(site))
    parsed = _admitted(site_file, _changed(site_file), approvals, study, digest, digest_in_message)
    detects = isinstance(parsed.study.task, DetectionTask)
    store = _changed(site.data / "imaging.csv" if detects else _store(site_file, study, parsed) / "manifest.json")
    return _session(site_file, study, parsed, (_changed(site_file), _changed(site.data / "exclude.csv"), store))


def forget_sessions() -> None:
    """Let go of what the sessions of this process hold in memory; the next order opens its session again."""
    _session.cache_clear()


def _changed(path: Path) -> int:
    """When a file last changed, in ns; 0 when there is none."""
    return path.stat().st_mtime_ns if path.is_file() else 0


@lru_cache(maxsize=64)
def _site(site_file: Path, _at: int) -> Site:
    return read_site(site_file)


@lru_cache(maxsize=64)
def _admitted(site_file: Path, at: int, _approvals: int, study: str, digest: str, in_message: str) -> Admitted:
    return Admitted(admit({"study": study, "digest": digest}, in_message, _site(site_file, at)))


@lru_cache(maxsize=64)
def _store(site_file: Path, _study: str, admitted: Admitted) -> Path:
    return store_folder(read_site(site_file), PrepareSettings.of(admitted.study))


@lru_cache(maxsize=64)
def _session(site_file: Path, _study: str, admitted: Admitted, _at: tuple[int, ...]) -> Session | DetectionSession:
    if isinstance(admitted.study.task, DetectionTask):
        return DetectionSession(read_site(site_file), admitted.study)
    return Session(read_site(site_file), admitted.study)


@lru_cache(maxsize=1)
def warm_model(study_json: str, device: torch.device) -> nn.Module:
    """The one model of this process. Its weights are overwritten before every use."""
    return new_model(parse_study(json.loads(study_json))).to(device)
