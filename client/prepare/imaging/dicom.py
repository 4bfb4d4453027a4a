"""Read one DICOM image as an RGB picture; tags that identify a patient are not even read."""

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.config import disable_value_validation
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from client.prepare.imaging import dicom_codecs
from client.prepare.imaging.grey import full_range, windowed
from shared.errors import ImageError

__all__ = ["LARGEST", "read_dicom"]

LARGEST = 100_000_000
"""Pixels of the largest picture that is opened: more is a mistake, or an attack on the memory."""

TAGS = [
    "SOPClassUID",
    *("PixelData", "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration", "PixelPaddingValue"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence", "BurnedInAnnotation"),
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in ("Red", "Green", "Blue")),
    *(f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
]
"""All that is ever read from a file: nothing that names a patient, a date or a device."""

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
DAMAGED = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError),
    *(BytesLengthException, struct.error, zlib.error),
)
"""What pydicom and the codecs raise for contents they cannot make sense of."""


def read_dicom(path: Path) -> tuple[NDArray[np.uint8], str]:
    """The pixels (H, W, 3) as a reader would see them, and a remark ("" for none).

    MONOCHROME1 is inverted; YBR and palettes become RGB. Grey values pass the modality LUT or rescale, then the VOI
    LUT or the first window; without either, 8-bit values stay and deeper ones are stretched between percentiles.

    Raises
    ------
    ImageError
        The file is no DICOM, has no pixels, several frames, a compression that cannot be decoded, or is damaged.
    """
    with _quiet():
        data = _dataset(path)
        try:  # values are only converted when they are asked for
            _check(data)
            burned_in = str(data.get("BurnedInAnnotation", "")).strip().upper() == "YES"
            return _picture(data), BURNED_IN if burned_in else ""
        except DAMAGED as exc:
            raise ImageError(_why_damaged(data, exc)) from exc


BURNED_IN = (
    "expected a picture without text, got BurnedInAnnotation = YES; "
    "look whether a name is written into it, and blacken it in a copy"
)


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings and log lines of pydicom, which repeat values of the file; faults still raise."""
    log = logging.getLogger("pydicom")
    before = log.propagate
    log.propagate = False
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.filterwarnings("ignore", module=r"pydicom\.")
            yield
    finally:
        log.propagate = before


def _dataset(path: Path) -> FileDataset:
    try:
        return pydicom.dcmread(path, specific_tags=TAGS)
    except InvalidDicomError as exc:
        raise ImageError("expected a DICOM file with its preamble, got another format; export it again") from exc
    except DAMAGED as exc:
        raise ImageError(f"expected a whole DICOM file, got a damaged one ({_cause(exc)}); copy it again") from exc


def _check(data: FileDataset) -> None:
    """ImageError unless there is one frame of a known kind and a sensible size."""
    if "PixelData" not in data:
        kind = _name(data.get("SOPClassUID"))
        raise ImageError(f"expected an image, got a DICOM object without pixels ({kind}); list its images instead")
    frames, rows, columns, samples = (
        _number(data, name, default)
        for name, default in (("NumberOfFrames", 1), ("Rows", 0), ("Columns", 0), ("SamplesPerPixel", 1))
    )
    if frames != 1:
        raise ImageError(f"expected one frame, got {frames}; export the frame that shows the lesion as its own image")
    if not 0 < rows * columns <= LARGEST:
        raise ImageError(f"expected 1 to {LARGEST} pixels, got {columns} x {rows}; export the image again")
    interpretation = str(data.get("PhotometricInterpretation", ""))
    if {**dict.fromkeys((*GREY, "PALETTE COLOR"), 1), **dict.fromkeys(COLOUR, 3)}.get(interpretation) != samples:
        got = f"{interpretation or 'nothing'} of {samples} sample{'s' if samples != 1 else ''}"
        raise ImageError(
            f"expected a photometric interpretation among {', '.join((*GREY, 'PALETTE COLOR', *COLOUR))} "
            f"with 1 or 3 samples a pixel, got {got}; export the image again"
        )


def _number(data: FileDataset, name: str, default: int) -> int:
    value = data.get(name)
    try:
        return default if value in (None, "") else int(value)
    except (TypeError, ValueError) as exc:
        raise ImageError(f"expected a whole number as {name}, got another value; export the image again") from exc


def _picture(data: FileDataset) -> NDArray[np.uint8]:
    dicom_codecs.register()
    stored = pixel_array(data)  # (H, W) or (H, W, 3); YBR is RGB now
    interpretation = data.PhotometricInterpretation
    if interpretation in GREY:
        grey = _grey(stored, data)
        return np.repeat((255 - grey if interpretation == "MONOCHROME1" else grey)[..., np.newaxis], 3, axis=2)
    if interpretation == "PALETTE COLOR":
        stored = apply_color_lut(stored, data)
        bits = stored.dtype.itemsize * 8
    else:
        bits = data.BitsStored
    return np.ascontiguousarray(stored >> (bits - 8) if bits > 8 else stored, dtype=np.uint8)


def _grey(stored: NDArray[np.generic], data: FileDataset) -> NDArray[np.uint8]:
    """Grey levels (H, W) as the file says they be shown, before any inversion."""
    values = np.asarray(apply_modality_lut(stored, data), dtype=np.float64)
    if data.get("VOILUTSequence"):
        bits = int(data.VOILUTSequence[0].LUTDescriptor[2])
        return windowed(
            np.asarray(apply_voi(values.astype(np.int64), data), np.float64), 2**bits / 2, 2**bits, "LINEAR"
        )
    centre, width = _first(data, "WindowCenter"), _first(data, "WindowWidth")
    if centre is not None and width is not None and width > 0:
        return windowed(values, centre, width, str(data.get("VOILUTFunction") or "LINEAR"))
    rescaled = "RescaleSlope" in data or "ModalityLUTSequence" in data
    if data.BitsStored <= 8 and data.PixelRepresentation == 0 and not rescaled:
        return windowed(values, (2**data.BitsStored - 1) / 2, 2**data.BitsStored - 1, "LINEAR_EXACT")
    padding = data.get("PixelPaddingValue")
    return full_range(values, None if padding is None else np.asarray(stored != padding))


def _first(data: FileDataset, name: str) -> float | None:
    """The first of the values of a tag, None where it has none that is a number."""
    value = data.get(name)
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if len(value) else None
    try:
        number = float(value) if value not in (None, "") else np.nan
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _why_damaged(data: FileDataset, exc: Exception) -> str:
    syntax = data.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        return "expected a transfer syntax, which says how the pixels are written, got none; export the image again"
    if not _has_decoder(syntax):
        return f"expected pixels that can be decoded here, got {_name(syntax)}; export the image uncompressed"
    return f"expected whole pixel data, got a damaged image ({_cause(exc)}); copy or export it again"


def _has_decoder(syntax: UID) -> bool:
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _name(uid: object) -> str:
    """The standard's name of a class or a transfer syntax; what a damaged file says instead is not repeated."""
    name = UID(str(uid)).name  # itself, if the standard does not know it
    return "an unknown kind" if name == str(uid) else name


def _cause(exc: Exception) -> str:
    """The kind of fault alone: the text of a decoder may repeat values of the file."""
    return type(exc).__name__
