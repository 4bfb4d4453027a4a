"""What a site keeps warm for one study: its patients, what it may send, and the model."""

import base64
import json
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path

import torch
from torch import nn

from client.approvals import approvals_file
from client.gate import admit
from client.prepare import PrepareSettings, store_folder
from shared.cohort.load import SitePatients, load_patients
from shared.cohort.normalise import GeneStatistics
from shared.cohort.patients import Patients
from shared.cohort.store import FeatureStore
from shared.errors import Refused
from shared.site import Site, read_site
from shared.study import Study, parse_study
from shared.weights import new_model

__all__ = ["Session", "admitted_session", "open_session", "warm_model"]


class Session:
    """One site, ready to train one study.

    A modality with fewer than `min_patients` training patients is not held: it counts as absent at this site, and
    its branch is neither trained nor sent.

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
        self.data: SitePatients = load_patients(FeatureStore.open(folder), study, site.expression.scale)
        train, least = self.data.patients.take(~self.data.test), site.disclosure.min_patients
        if len(train) < least:
            raise Refused(
                "TOO_FEW_PATIENTS",
                f"expected at least {least} training patients, got {len(train)}; this site cannot take part",
            )
        self.held = tuple(name for name in study.modalities.names if train.count(name) >= least)
        self.counts: Mapping[str, int] = {**{name: train.count(name) for name in self.held}, "fusion": len(train)}
        self._ready: tuple[bytes, Patients, Patients] | None = None

    @cached_property
    def device(self) -> torch.device:
        """Where this site computes."""
        name = self.site.compute.device
        if name == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(name)

    def patients(self, statistics: GeneStatistics | None) -> tuple[Patients, Patients]:
        """Training and test patients as the model takes them; kept while the statistics stay the same."""
        name = b"" if statistics is None else statistics.table.tobytes()
        if self._ready is None or self._ready[0] != name:
            every = self.data.normalised(self.study, statistics).only(self.held)
            self._ready = (name, every.take(~self.data.test), every.take(self.data.test))
        return self._ready[1], self._ready[2]


def admitted_session(site_file: Path, study: str, digest: str, digest_in_message: str) -> Session:
    """Pass the gate, then open the session; both are remembered until the site file or the approvals change.

    Parameters
    ----------
    study, digest
        As in the run config: canonical JSON in base64, and the digest the coordinator gives it.
    digest_in_message
        As in the order.
    """
    site = _site(site_file, site_file.stat().st_mtime_ns)
    approvals = approvals_file(site)
    changed = approvals.stat().st_mtime_ns if approvals.is_file() else 0
    return _admitted(site_file, site_file.stat().st_mtime_ns, changed, study, digest, digest_in_message)


@lru_cache(maxsize=256)
def _site(site_file: Path, _changed: int) -> Site:
    return read_site(site_file)


@lru_cache(maxsize=256)
def _admitted(site_file: Path, changed: int, _approvals: int, study: str, digest: str, in_message: str) -> Session:
    site = _site(site_file, changed)
    admit({"study": study, "digest": digest}, in_message, site)
    return open_session(site_file, base64.b64decode(study).decode())


@lru_cache(maxsize=256)
def open_session(site_file: Path, study_json: str) -> Session:
    """The session of an admitted study, opened once a process."""
    return Session(read_site(site_file), parse_study(json.loads(study_json)))


@lru_cache(maxsize=1)
def warm_model(study_json: str, device: torch.device) -> nn.Module:
    """The one model of this process. Its weights are overwritten before every use."""
    return new_model(parse_study(json.loads(study_json))).to(device)
