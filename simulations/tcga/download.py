"""Files of the GDC onto the disk: some at once, each whole by its checksum or not there, cut ones gone on with."""

import hashlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import httpx

from shared.errors import WorkFailed
from simulations.tcga.gdc import KEPT, Gdc, GdcFile, passing, said

__all__ = ["Checked", "fetch_files", "missing_bytes"]

Progress = Callable[[str, int, int], None]


class Checked:
    """What was found to be whole before, a line `md5, size, changed, name` each: no file is read twice for it."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock, self._lines = path, threading.Lock(), set[str]()
        if path.is_file():
            self._lines = set(path.read_text(encoding="utf-8").splitlines())

    def whole(self, path: Path, file: GdcFile) -> bool:
        """Whether `path` holds the file: by what is remembered of exactly this state, else by its checksum."""
        if not path.is_file() or path.stat().st_size != file.size:
            return False
        if self._line(path, file) in self._lines:
            return True
        if md5_of(path) != file.md5:
            return False
        self.remember(path, file)
        return True

    def remember(self, path: Path, file: GdcFile) -> None:
        """Note that `path` is whole."""
        line = self._line(path, file)
        with self._lock, self._path.open("a", encoding="utf-8") as kept:
            self._lines.add(line)
            kept.write(f"{line}\n")

    def _line(self, path: Path, file: GdcFile) -> str:
        state = path.stat()
        return f"{file.md5}\t{state.st_size}\t{state.st_mtime_ns}\t{path.name}"


def md5_of(path: Path) -> str:
    """Hex MD5 of a file: the checksum that the GDC states."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def missing_bytes(wanted: Mapping[Path, GdcFile]) -> int:
    """Bytes still to come, by the sizes of what is there; no file is read."""
    return sum(max(0, file.size - max(_size(path), _size(part_of(path)))) for path, file in wanted.items())


def part_of(path: Path) -> Path:
    """Where a file grows until it is whole."""
    return path.with_name(f"{path.name}.part")


def fetch_files(
    gdc: Gdc, wanted: Mapping[Path, GdcFile], checked: Checked, *, workers: int, progress: Progress, what: str
) -> int:
    """Fetch what is not there yet, `workers` files at once; the number of files that were fetched.

    Raises
    ------
    WorkFailed
        Some could not be had; every other one was fetched first.
    """
    for folder in {path.parent for path in wanted}:
        folder.mkdir(parents=True, exist_ok=True)
    failed: list[str] = []
    fetched = done = 0
    with ThreadPoolExecutor(max_workers=workers) as pool:
        jobs = [pool.submit(_fetch, gdc, file, path, checked) for path, file in sorted(wanted.items())]
        try:
            for job in as_completed(jobs):
                done += 1
                progress(what, done, len(jobs))
                try:
                    fetched += job.result()
                except WorkFailed as exc:
                    failed.append(str(exc))
        except BaseException:  # Ctrl-C, a full disk: what waits is not begun
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failed:
        more = f" (and {len(failed) - 1} more files)" if len(failed) > 1 else ""
        raise WorkFailed(f"{sorted(failed)[0]}{more}")
    return fetched


def _fetch(gdc: Gdc, file: GdcFile, path: Path, checked: Checked) -> bool:
    """One file; whether it had to be fetched. A wrong checksum is believed only the second time."""
    if checked.whole(path, file):
        return False
    part = part_of(path)
    for _ in range(2):
        _complete(gdc, file, part)
        if md5_of(part) == file.md5:
            part.replace(path)
            checked.remember(path, file)
            return True
        part.unlink()
    raise WorkFailed(
        f"file {file.id} of the GDC: expected the checksum {file.md5}, got another one twice; "
        f"{KEPT}, or tell the GDC's help desk"
    )


def _complete(gdc: Gdc, file: GdcFile, part: Path) -> None:
    """Let `part` grow to the file's size. Tries count from the last one that brought any bytes."""
    attempt = 0
    last = "too few bytes"
    while True:
        before = _size(part)
        if part.exists() and before >= file.size:
            return  # what is too long fails by its checksum
        response: httpx.Response | None = None
        try:
            with gdc.data(file, before) as response:
                if response.is_success:
                    _append(response, part, before)
                    last = "a cut connection"
                else:
                    last = f"status {response.status_code}"
                    if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                        part.unlink(missing_ok=True)
                    elif not passing(response.status_code):
                        raise WorkFailed(
                            f"file {file.id} of the GDC: expected its bytes, got {last}; "
                            "it may have been replaced by a new release, so run the same command again"
                        )
        except httpx.TransportError as exc:
            last = said(exc)
        attempt = 0 if _size(part) > before else attempt + 1
        if attempt >= gdc.patience.tries:
            raise WorkFailed(f"file {file.id} of the GDC: expected its bytes, got {last} {attempt} times; {KEPT}")
        if not part.exists() or _size(part) < file.size:
            gdc.patience.wait(max(0, attempt - 1), response)


def _append(response: httpx.Response, part: Path, before: int) -> None:
    """Write the body behind what is there, or from the start where the server did not go on from there."""
    goes_on = response.status_code == httpx.codes.PARTIAL_CONTENT
    with part.open("ab" if goes_on and before else "wb") as file:
        for piece in response.iter_raw():  # as it comes: pieces of a fixed size would be lost with the connection
            file.write(piece)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
