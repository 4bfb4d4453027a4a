"""What a store was made from: hashes of the site's files, remembered so that an unchanged file is not read again."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from client.prepare.report import Progress
from client.prepare.settings import PrepareSettings
from shared.cohort.drafts import replacing
from shared.cohort.folders import content, files_below, is_file, readable
from shared.digests import canonical_json, sha256_file, sha256_json
from shared.site import Site

__all__ = ["FileHashes", "inputs_sha256"]

SAVE_EVERY = 20.0
"""Seconds after which the hashes found so far are kept: those of a scanner's slides take hours."""

FOLDERS = {"slides": ("slides", "features"), "imaging": ("imaging",), "expression": ("expression",)}
"""Modality -> the folders of its files; tables lie directly in the data folder."""


class FileHashes:
    """SHA-256 of files at the site; <state>/files.json keeps them with the size and time they belong to."""

    def __init__(self, site: Site) -> None:
        self._data = site.data
        self._path = site.state / "files.json"
        self._known = _remembered(self._path)
        self._saved = time.monotonic()

    def of(self, path: Path) -> str:
        """SHA-256 of `path`, read only if its size or its time has changed."""
        name, stat = self.name_of(path), path.stat()
        known = self._known.get(name)
        if known is None or known[:2] != [stat.st_size, stat.st_mtime_ns]:
            known = self._known[name] = [stat.st_size, stat.st_mtime_ns, sha256_file(path)]
            if time.monotonic() - self._saved > SAVE_EVERY:
                self.save()
        return str(known[2])

    def forget(self, mine: Callable[[str], bool]) -> int:
        """Drop the files whose name `mine` claims (as `name_of` gives it); how many there were."""
        gone = [name for name in self._known if mine(name)]
        for name in gone:
            del self._known[name]
        return len(gone)

    def save(self) -> None:
        """Remember the hashes for the next run."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._path) as draft:
            draft.write_text(canonical_json(self._known), encoding="utf-8")
        self._saved = time.monotonic()

    def name_of(self, path: Path) -> str:
        """A file's place in the data folder; of another file, its whole path."""
        inside = path.is_relative_to(self._data)
        return readable(path.relative_to(self._data).as_posix() if inside else str(path))


def _remembered(path: Path) -> dict[str, list[int | str]]:
    """What files.json keeps; nothing if there is none, or a damaged one: the files are read again then."""
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    whole = isinstance(known, dict) and all(isinstance(entry, list) and len(entry) == 3 for entry in known.values())
    return known if whole else {}


def inputs_sha256(
    site: Site, settings: PrepareSettings, hashes: FileHashes, encoders: dict[str, str], progress: Progress
) -> str:
    """One hash of all that decides a store beside its settings: files, weights, the site's own mappings and rules."""
    own, rules_of_site = list(_data_files(site, settings)), list(_rule_files(site, settings))
    # a slide's folder is part of its name, but where the site keeps its mappings and weights is no part of theirs
    files = [*((hashes.name_of(path), path) for path in own), *((path.name, path) for path in rules_of_site)]
    digests = []
    for done, (name, path) in enumerate(files, start=1):
        digests.append([name, _hash(path, hashes)])
        progress("checking files", done, len(files))
    hashes.save()
    compute = site.compute.model_dump(mode="json", exclude={"workers"}) if FOLDERS.keys() & encoders.keys() else {}
    sections = ("columns", "values", "expression", "blood", "imaging", "features")
    rules = site.model_dump(mode="json", include=set(sections))
    return sha256_json({"files": digests, "encoders": encoders, "compute": compute, "rules": rules})


def _hash(path: Path, hashes: FileHashes) -> str:
    """SHA-256, or a word for a file that cannot be read: whoever needs it says so in the report."""
    try:
        return hashes.of(path)
    except OSError:
        return "unreadable"


def _data_files(site: Site, settings: PrepareSettings) -> Iterator[Path]:
    yield from (path for path in content(site.data) if is_file(path))
    for modality in settings.modalities:
        for folder in FOLDERS.get(modality, ()):
            yield from files_below(site.data / folder)


def _rule_files(site: Site, settings: PrepareSettings) -> Iterator[Path]:
    """Files that the site file's own sections name and that change what is stored."""
    rules = {
        "expression": (site.expression.ensembl, site.expression.aliases),
        "blood": (site.blood.intervals, site.blood.llm),
        "imaging": (site.imaging.detector,),
    }
    for modality in settings.modalities:
        for written in filter(None, rules.get(modality, ())):
            path = site.path(written)
            yield from [path] if is_file(path) else files_below(path)
