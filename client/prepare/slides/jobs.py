"""Which slides a site has, whose each is, and which files belong to it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from client.prepare.fingerprint import FileHashes
from client.prepare.patients import Roster
from client.prepare.report import PrepareReport
from client.prepare.slides.parts import slide_parts
from shared.cohort.folders import content, files_below, is_file, readable
from shared.cohort.tables import read_slides
from shared.digests import sha256_json
from shared.site import Site
from shared.study import Slides

__all__ = ["SlideJob", "find_jobs", "imports_features"]


@dataclass(frozen=True)
class SlideJob:
    """One slide of one patient, or its features that were made elsewhere."""

    key: str
    case_id: str
    slide_id: str
    source: Path  # the slide: a file, or the folder of a DICOM series; if `imported`, a file of features
    imported: bool
    written_mpp: float | None  # um per px of level 0 as slides.tsv says
    target: Path  # the slide file in the store
    sha256: str  # of all files that belong to `source`

    @property
    def name(self) -> str:
        """The input, as the report names it."""
        return f"features/slides/{self.source.name}" if self.imported else f"slides/{self.source.name}"


def imports_features(site: Site, settings: Slides) -> bool:
    """Whether the site brings features of the study's slide encoder that were made elsewhere."""
    return site.features is not None and site.features.encoder == settings.encoder


def find_jobs(
    site: Site, settings: Slides, folder: Path, roster: Roster, hashes: FileHashes, report: PrepareReport
) -> list[SlideJob]:
    """The slides of the roster's patients, in the order of case_id and slide_id; what is no such slide is recorded.

    `folder` is where the store keeps slide files. Features that were made elsewhere go before the slide itself.
    """
    importing = imports_features(site, settings)
    jobs, used = [], set[Path]()
    for case_id, slide_id, path, features, mpp, fault in _listed(site):
        imported = importing and features is not None
        source = features if imported else _whole(path, site.data / "slides")
        used |= {file for file in (path, features) if file is not None}
        if case_id in roster.excluded:
            continue
        key = roster.keys.get(case_id, "")
        name = f"slides/{slide_id if source is None else source.name}"
        if not key:
            report.add(name, "left out", "not in clinical.tsv", case_id=case_id)
        elif source is None:
            report.add(name, "left out", _missing(importing), key=key, case_id=case_id)
        elif fault and not imported:
            report.add(name, "left out", fault, key=key, case_id=case_id)
        else:
            written, target = None if math.isnan(mpp) else mpp, folder / f"{slide_id}.h5"
            try:
                sha256 = _sha256(source, hashes)
            except OSError as exc:
                reason = f"expected a readable file, got {exc.strerror or 'none'}; check its permissions"
                report.add(name, "left out", reason, key=key, case_id=case_id)
                continue
            jobs.append(SlideJob(key, case_id, slide_id, source, imported, written, target, sha256))
    _record_strangers(site, importing, used, report)
    return jobs


def _listed(site: Site) -> list[tuple[str, str, Path | None, Path | None, float, str]]:
    """The rows of slides.tsv: case_id, slide_id, slide, features, resolution (NaN: none), fault ("": none)."""
    table = read_slides(site.data)
    if table is None:
        return []
    columns = ("case_id", "slide_id", "path", "features", "mpp", "fault")
    return list(zip(*(table[name].tolist() for name in columns), strict=True))


def _whole(path: Path | None, slides: Path) -> Path | None:
    """The slide that the file `path` is, or of a DICOM series, its folder."""
    return path if path is None or path.parent == slides else path.parent


def _missing(importing: bool) -> str:
    if importing:
        return "listed in slides.tsv, but there is neither such a slide nor a file of its features"
    return "listed in slides.tsv, but no such file"


def _sha256(source: Path, hashes: FileHashes) -> str:
    """Of a slide of one file its SHA-256; of several, one of their names and contents."""
    parts = slide_parts(source)
    if parts == (source,):
        return hashes.of(source)
    return sha256_json([[readable(part.relative_to(source.parent).as_posix()), hashes.of(part)] for part in parts])


def _record_strangers(site: Site, importing: bool, used: set[Path], report: PrepareReport) -> None:
    """Files that belong to no listed slide, whatever their suffix."""
    known = {part for path in used for part in _belonging(path)}
    folders = ["slides", "features/slides"] if importing else ["slides"]
    for name in folders:
        for path in _content(site.data / name):
            inside = {path} if is_file(path) else set(files_below(path))
            if inside and not inside & known:
                report.add(f"{name}/{path.name}", "left out", "not listed in slides.tsv, so nobody's")


def _belonging(path: Path) -> Iterable[Path]:
    """The files of a listed slide or of its features; of one that cannot be read, what its name says."""
    if path.suffix.lower() == ".h5":
        return (path,)
    try:
        return slide_parts(path)
    except OSError:
        return (path,)


def _content(folder: Path) -> list[Path]:
    """What lies in a folder; names that begin with a dot are an operating system's own."""
    return [path for path in content(folder) if not path.name.startswith(".")]
