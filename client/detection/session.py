"""What a site keeps warm for one detection study: its pictures in memory."""

from collections.abc import Mapping
from functools import cached_property

import structlog
import torch

from client.detection.pictures import SitePictures, load_pictures
from client.device import device_of
from shared.cohort.tables import read_exclusions
from shared.errors import Refused
from shared.site import Site
from shared.study import Study

__all__ = ["DetectionSession"]

log = structlog.get_logger()


class DetectionSession:
    """One site, ready to train one detection study. Nothing has to be prepared: pictures are read as they are.

    Raises
    ------
    Refused
        NO_PATIENTS without a drawn lesion, TOO_FEW_PATIENTS.
    """

    held = ("imaging",)

    def __init__(self, site: Site, study: Study) -> None:
        self.site, self.study, self.study_json = site, study, study.canonical()
        self.data: SitePictures = load_pictures(site, study, read_exclusions(site.data))
        if self.data.excluded:
            log.warning("pictures left out", site=site.id, **self.data.excluded)
        train, least = self.data.patients, site.disclosure.min_patients
        if train < least:
            raise Refused(
                "TOO_FEW_PATIENTS",
                f"expected at least {least} training patients, got {train}; this site cannot take part",
            )
        self.counts: Mapping[str, int] = {"imaging": train, "fusion": train}

    @cached_property
    def device(self) -> torch.device:
        """Where this site computes."""
        return device_of(self.site)
