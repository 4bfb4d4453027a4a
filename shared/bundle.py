"""The one Flower bundle of mmfed, pinned by its content: configuration only, the same for every study."""

import io
import zipfile
import zlib

from shared.digests import sha256_json
from shared.errors import Refused

__all__ = ["BUNDLE", "bundle_digest", "check_bundle"]

BUNDLE = "7f53636d27bb23c1c2b2be77decf67ab7d066cd88871b254c1fa3dbb33dae3ba"
"""`bundle_digest` of deploy/job as Flower packs it; tests/shared/test_bundle.py packs it again and compares."""

LARGEST = 64 * 1024


def bundle_digest(bundle: bytes) -> str:
    """SHA-256 over the names and bytes of all files of a bundle (a ZIP archive).

    Over the files and not over the archive, because another build of zlib compresses to other bytes.

    Raises
    ------
    Refused
        BUNDLE_REFUSED: no ZIP archive, a name that comes twice, or more than 64 KiB.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            entries = archive.infolist()
            if len({entry.filename for entry in entries}) != len(entries):
                raise _refused("a name that comes twice")
            if sum(entry.file_size for entry in entries) > LARGEST:
                raise _refused("more than 64 KiB")
            return sha256_json({entry.filename: archive.read(entry).hex() for entry in entries})
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
    ) as exc:  # RuntimeError: encrypted, or unknown method
        raise _refused(f"no plain ZIP archive ({exc})") from exc


def check_bundle(bundle: bytes) -> None:
    """Pass for mmfed's own bundle; Refused with BUNDLE_REFUSED for any other."""
    digest = bundle_digest(bundle)
    if digest != BUNDLE:
        raise _refused(f"content {digest}")


def _refused(got: str) -> Refused:
    return Refused(
        "BUNDLE_REFUSED",
        f"expected the bundle that mmfed ships, content {BUNDLE}, got {got}; "
        "the coordinator must submit with `mmfed-server submit` of the same version",
    )
