"""The detector that the site file names, and one hash of all that decides what it finds."""

from shared.detection.detector_file import CARD, WEIGHTS, DetectorCard, Quality, read_detector, write_detector
from shared.digests import sha256_file, sha256_json
from shared.errors import SiteFileError
from shared.site import Site

__all__ = ["CARD", "WEIGHTS", "DetectorCard", "Quality", "configured_sha256", "read_detector", "write_detector"]


def configured_sha256(site: Site) -> str:
    """One hash of all that decides which boxes this site's detector finds, without opening it; "" without a detector.

    Raises
    ------
    SiteFileError
        There is no such file or folder, or not the one whose SHA-256 the site file states.
    """
    rules = site.imaging
    if not rules.detector:
        return ""
    path = site.path(rules.detector)
    if not (path.is_file() or (path / CARD).is_file()):
        raise SiteFileError(
            f"imaging.detector: expected a folder with {CARD} or a .pt file, got neither at {path}; "
            "run train-detector, or correct the path"
        )
    digest = sha256_file(path) if path.is_file() else sha256_json([sha256_file(path / n) for n in (CARD, WEIGHTS)])
    if path.is_file() and not rules.detector_sha256:
        raise SiteFileError(
            f"imaging.detector_sha256: expected the SHA-256 of {path.name}, since opening it runs code, got nothing; "
            f"if you trust the file, write {digest}"
        )
    if rules.detector_sha256 not in ("", digest):
        raise SiteFileError(
            f"imaging.detector_sha256: expected {rules.detector_sha256[:12]}..., got {digest[:12]}...; "
            "restore the detector, or write the new SHA-256 if you trust it"
        )
    return sha256_json([digest, rules.confidence])
