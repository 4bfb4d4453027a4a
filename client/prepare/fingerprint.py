"""What a store was made from: hashes of the site's files, remembered so that an unchanged file is not read again."""

import json
from pathlib import Path

from shared.cohort.store_files import replacing
from shared.digests import canonical_json, sha256_file, sha256_json
from shared.site import Site

__all__ = ["FileHashes", "inputs_sha256"]

TABLES = ("clinical", "expression", "mutations", "copy_number", "blood", "slides", "exclude")


class FileHashes:
    """SHA-256 of files in the data folder; <state>/files.json keeps them with the size and time they belong to."""

    def __init__(self, site: Site) -> None:
        self._data = site.data
        self._path = site.state / "files.json"
        self._known: dict[str, list[int | str]] = json.loads(self._path.read_text()) if self._path.is_file() else {}

    def of(self, path: Path) -> str:
        """SHA-256 of `path`, read only if its size or its time has changed."""
        name, stat = path.relative_to(self._data).as_posix(), path.stat()
        known = self._known.get(name)
        if known is None or known[:2] != [stat.st_size, stat.st_mtime_ns]:
            known = self._known[name] = [stat.st_size, stat.st_mtime_ns, sha256_file(path)]
        return str(known[2])

    def save(self) -> None:
        """Remember the hashes for the next run."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._path) as draft:
            draft.write_text(canonical_json(self._known), encoding="utf-8")


def inputs_sha256(site: Site, hashes: FileHashes, *, slides: bool, encoder_sha256: str) -> str:
    """One hash of all that decides a store beside its settings: tables, slides, weights, the site's own mappings."""
    files = [path for path in sorted(site.data.iterdir()) if path.name.split(".")[0] in TABLES and path.is_file()]
    if slides and (site.data / "slides").is_dir():
        files += [path for path in sorted((site.data / "slides").iterdir()) if path.is_file()]
    content = {
        "files": {path.relative_to(site.data).as_posix(): hashes.of(path) for path in files},
        "encoder": encoder_sha256,
        "columns": site.columns,
        "values": site.values,
        "scale": site.expression.scale,
    }
    hashes.save()
    return sha256_json(content)
