"""The series of a DICOM slide, and whether its table of frames points at frames: a wrong one makes OpenSlide crash."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, VLWholeSlideMicroscopyImageStorage

from shared.errors import SlideError

__all__ = ["check_frames", "series_of"]

UNREADABLE = (
    InvalidDicomError,
    OSError,
    ValueError,
    KeyError,
    AttributeError,
    NotImplementedError,
    TypeError,
    OverflowError,
    struct.error,
)
"""What pydicom raises on files that it does not understand."""

ONE_AT_A_TIME = Lock()  # who hears warnings is a setting of the whole process

ITEM = b"\xfe\xff\x00\xe0"
PIXEL_DATA = b"\xe0\x7f\x10\x00"
UNDEFINED = 0xFFFFFFFF


def series_of(file: Path) -> str:
    """The series of a DICOM whole-slide file; "" for any other file."""
    try:
        with _quietly():
            head = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["SOPClassUID", "SeriesInstanceUID"])
            kind, series = head.get("SOPClassUID"), str(head.get("SeriesInstanceUID", ""))
    except UNREADABLE:
        return ""
    return series if kind == VLWholeSlideMicroscopyImageStorage else ""


def check_frames(file: Path) -> None:
    """Refuse a DICOM file whose table of frames does not point at frames.

    Raises
    ------
    SlideError
        It is cut short, or its table is damaged.
    OSError
        It cannot be read.
    """
    with file.open("rb") as stream:
        try:
            with _quietly():
                head = pydicom.dcmread(stream, stop_before_pixels=True)  # leaves the stream at the pixels
                compressed = UID(str(head.file_meta.TransferSyntaxUID)).is_compressed
            whole = _points_at_frames(stream, file.stat().st_size) if compressed else True
        except UNREADABLE:
            whole = False
    if not whole:
        raise SlideError("expected a whole DICOM slide, got one whose table of frames is damaged; copy it again")


@contextmanager
def _quietly() -> Iterator[None]:
    """Without pydicom's warnings: they quote values, which may name a patient."""
    with ONE_AT_A_TIME, warnings.catch_warnings(action="ignore"):
        yield


def _points_at_frames(stream: BinaryIO, size: int) -> bool:
    """Whether every entry of the basic offset table, which may be empty, is the start of an item within the file."""
    tag, _, length = struct.unpack("<4s4sI", stream.read(12))
    item, count = struct.unpack("<4sI", stream.read(8))
    if (tag, length, item) != (PIXEL_DATA, UNDEFINED, ITEM) or count % 4 or stream.tell() + count > size:
        return False
    offsets = np.frombuffer(stream.read(count), dtype="<u4").astype(np.int64)
    first = stream.tell()
    for offset in offsets:
        stream.seek(first + int(offset))
        head = stream.read(8)
        if len(head) < 8 or head[:4] != ITEM or stream.tell() + int.from_bytes(head[4:], "little") > size:
            return False
    return bool((np.diff(offsets) > 0).all()) and (len(offsets) == 0 or offsets[0] == 0)
