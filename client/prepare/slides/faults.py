"""Say in plain words why a file is no slide."""

import struct
from pathlib import Path

__all__ = ["why_unreadable"]

KINDS = {
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
    b"\x89HDF": "an HDF5 file",
    b"\xd0\xcf\x11\xe0": "an Office document",
    b"SQLite format 3": "a database",
    b"Salted__": "a file encrypted with OpenSSL",
    b"AES": "a file encrypted with AES Crypt",
    b"-----BEGIN PGP": "a file encrypted with PGP",
}
"""What files begin with that are copied in place of slides."""

TIFF = {b"II*\0": "<4xI", b"MM\0*": ">4xI", b"II+\0": "<8xQ", b"MM\0+": ">8xQ"}
"""First bytes of a TIFF, and where the offset of its first directory stands."""

ENDS = 4096  # bytes read from either end of a file


def why_unreadable(path: Path, detail: str = "") -> str:
    """Why OpenSlide does not open `path`, in three parts; `detail` is what OpenSlide says.

    Raises
    ------
    OSError
        The file cannot be read at all.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(ENDS)
        file.seek(max(0, size - ENDS))
        tail = file.read(ENDS)
    if size == 0:
        return "expected a slide, got an empty file; copy it again"
    if path.suffix.lower() == ".mrxs" and not path.with_suffix("").is_dir():
        return "expected an .mrxs file beside its folder of the same name, got no such folder; copy the folder as well"
    if head[:4] in TIFF:
        return _why_no_tiff(head, size, detail)
    kind = _kind(head, tail)
    if kind:
        return f"expected a slide, got {kind}; put the slide itself in its place"
    if detail:
        return f"expected a whole slide, got a damaged one ({detail}); copy it again"
    return "expected a slide that OpenSlide reads, got another format or half a file; copy or export it again"


def _why_no_tiff(head: bytes, size: int, detail: str) -> str:
    layout = TIFF[head[:4]]
    if len(head) < struct.calcsize(layout) or struct.unpack_from(layout, head)[0] >= size:
        return f"expected a whole slide, got its first {size} bytes; copy it again"
    if detail:
        return f"expected a whole slide, got a damaged one ({detail}); copy it again"
    return "expected a tiled TIFF, got half of one or one without tiles; copy it again or export it as a tiled pyramid"


def _kind(head: bytes, tail: bytes) -> str:
    """What a file is by its first bytes, with a word on passwords; "" if they tell nothing."""
    kind = next((kind for start, kind in KINDS.items() if head.startswith(start)), "")
    if kind == "a zip archive" and len(head) > 6 and head[6] & 1:
        return "a password-protected zip archive"
    if kind == "a PDF document" and b"/Encrypt" in head + tail:
        return "a password-protected PDF document"
    if not kind and head[128:132] == b"DICM":
        return "a DICOM file that is no whole-slide image, or is compressed in a way that OpenSlide does not read"
    if not kind and all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return "a text file"
    return kind
