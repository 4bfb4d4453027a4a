"""What a site keeps warm for one study: its patients, what it may send, and the model."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from client.detection.session import DetectionSession
from client.device import device_of
from client.gate import admit
from client.prepare.settings import PrepareSettings, store_folder
from client.site_ledger import open_ledger
from shared.cohort.load import SitePatients, load_patients
from shared.cohort.normalise import GeneStatistics
from shared.cohort.patients import Patients
from shared.cohort.store import FeatureStore
from shared.cohort.tables import read_exclusions
from shared.errors import Refused
from shared.privacy.ledger import Ledger
from shared.site import Site, read_site
from shared.study import DetectionTask, Study, parse_study
from shared.weights import new_model

__all__ = ["Admitted", "Session", "admitted_study", "forget_sessions", "open_session", "warm_model"]


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
        self.site, self.study = site, study
        self.study_json = sys.intern(study.canonical())  # one for all sites of a simulation
        folder = store_folder(site, PrepareSettings.of(study))
        if not (folder / "manifest.json").is_file():
            raise Refused("NOT_PREPARED", f"expected a feature store in {folder}, got none; run `mmfed-client prepare`")
        withdrawn, store = read_exclusions(site.data), FeatureStore.open(folder)
        self.data: SitePatients = load_patients(store, study, site.expression.scale, withdrawn)
        keys = dict(zip(store.patients["case_id"], store.patients["key"], strict=True))
        self.keys = [keys[case] for case in self.data.patients.case_id]  # salted, for the ledger
        train, least = self.data.patients.take(~self.data.test), site.disclosure.min_patients
        if len(train) < least:
            raise Refused(
                "TOO_FEW_PATIENTS",
                f"expected at least {least} training patients, got {len(train)}; this site cannot take part",
            )
        self.held = tuple(name for name in study.modalities.names if train.count(name) >= least)
        few = (train.further_y >= 0).sum(axis=0) < least
        # with privacy on one patient's label must not decide whether all others' are learnt: noise protects them
        self.unlearnt = np.flatnonzero(few & (not study.privacy.on))  # places of further heads
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
    """A study that passed the gate at a site; hashed by identity, since it is remembered itself."""

    site: Site
    study: Study
    own: Path | None  # where a simulation lets this site keep its own files


def admitted_study(
    site_file: Path, study: str, digest: str, digest_in_message: str, own: Path | None = None
) -> Admitted:
    """Pass the gate; nothing of the site's data is read. Remembered while the site file and the approvals stay.

    Parameters
    ----------
    study, digest
        As in the run config: canonical JSON in base64, and the digest the coordinator gives it.
    digest_in_message
        As in the order.
    own
        Where a simulation lets this site keep its own files; None in a deployment.
    """
    at = _changed(site_file)
    decided = _ledger(site_file, at, own).last("approval", "revoked")
    return _admitted(site_file, at, decided.hash if decided else "", study, digest, digest_in_message, own)


def open_session(admitted: Admitted) -> Session | DetectionSession:
    """The patients of an admitted study.

    Remembered while exclude.csv and the feature store (or imaging.csv, for a detection study) stay as they are.
    """
    site = admitted.site
    detects = isinstance(admitted.study.task, DetectionTask)
    store = site.data / "imaging.csv" if detects else _store(admitted) / "manifest.json"
    return _session(admitted, (_changed(site.data / "exclude.csv"), _changed(store)))


def forget_sessions() -> None:
    """Let go of what the sessions of this process hold in memory; the next order passes the gate and opens it again.

    A SuperNode's process answers one message and ends. That of a simulation answers for every site, again and again,
    and remembers all of them: it calls this when a training is over.
    """
    for remembered in (_session, _store, _admitted, _ledger, _site):
        remembered.cache_clear()


def _changed(path: Path) -> int:
    """When a file last changed, in ns; 0 when there is none."""
    return path.stat().st_mtime_ns if path.is_file() else 0


@cache
def _site(site_file: Path, _at: int) -> Site:
    return read_site(site_file)


@cache
def _ledger(site_file: Path, at: int, own: Path | None) -> Ledger:
    """Reading from it verifies what has been added since, as opening it again would."""
    return open_ledger(_site(site_file, at), own)


@cache
def _admitted(
    site_file: Path, at: int, _decided: str, study: str, digest: str, in_message: str, own: Path | None
) -> Admitted:
    site = _site(site_file, at)
    found = admit(
        {"study": study, "digest": digest}, in_message, site, open_ledger(site, own), simulated=own is not None
    )
    return Admitted(site, found, own)


@cache
def _store(admitted: Admitted) -> Path:
    return store_folder(admitted.site, PrepareSettings.of(admitted.study))


@cache
def _session(admitted: Admitted, _at: tuple[int, ...]) -> Session | DetectionSession:
    if isinstance(admitted.study.task, DetectionTask):
        return DetectionSession(admitted.site, admitted.study)
    return Session(admitted.site, admitted.study)


@lru_cache(maxsize=1)
def warm_model(study_json: str, device: torch.device) -> nn.Module:
    """The one model of this process. Its weights are overwritten before every use."""
    return new_model(parse_study(json.loads(study_json))).to(device)
