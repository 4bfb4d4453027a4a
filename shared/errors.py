"""Every error mmfed raises on purpose.

    MmfedError
    ├── BadInput            exit 2: a person must change a file or an option
    │   ├── StudyError        the study file
    │   ├── SiteFileError     the site file
    │   ├── CohortError       a table of a cohort or data folder
    │   │   └── NoPatients      a folder without a patient that the study can use
    │   ├── SlideError        one slide; `prepare` records it and goes on
    │   ├── ImageError        one clinical image; `prepare` records it and goes on
    │   └── EncoderError      encoder weights missing, or not those the study names
    ├── Refused             a site or the coordinator will not do what the other asked
    └── WorkFailed          exit 1: the input was fine, the work was not done
        ├── QuorumError       too few sites, or too few usable replies
        └── LinkError         the SuperLink cannot be reached

A message has three parts: what was expected, what came, what to do. `Refused.code` is the only part of an error
that ever leaves a site (shared/messages.py lists the codes).
"""

__all__ = [
    "BadInput",
    "CohortError",
    "EncoderError",
    "ImageError",
    "LinkError",
    "MmfedError",
    "NoPatients",
    "QuorumError",
    "Refused",
    "SiteFileError",
    "SlideError",
    "StudyError",
    "WorkFailed",
]


class MmfedError(Exception):
    """Root of the tree; `exit_code` is what a command ends with."""

    exit_code = 1


class BadInput(MmfedError):
    """A file or an option that a person must change."""

    exit_code = 2


class StudyError(BadInput):
    """The study file is wrong; the message lists every fault."""


class SiteFileError(BadInput):
    """The site file is wrong; the message lists every fault."""


class CohortError(BadInput):
    """A table of a cohort or data folder is missing or malformed."""


class NoPatients(CohortError):
    """A data folder in which no patient has any of the study's modalities."""


class SlideError(BadInput):
    """One slide cannot be used; the message is its reason in prepare-report.csv."""


class ImageError(BadInput):
    """One clinical image cannot be used; the message is its reason in prepare-report.csv."""


class EncoderError(BadInput):
    """Encoder weights are missing, or are not those the study names."""


class Refused(MmfedError):
    """A request that will not be carried out. `code` may leave the site, the message may not."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class WorkFailed(MmfedError):
    """The input was fine but the work could not be done."""


class QuorumError(WorkFailed):
    """Fewer sites, or fewer usable replies, than the study's quorum."""


class LinkError(WorkFailed):
    """The SuperLink cannot be reached."""
