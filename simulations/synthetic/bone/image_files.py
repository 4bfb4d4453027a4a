"""Write a radiograph as a hospital exports it: PNG of 8 bit, or DICOM of 16 bit, bright or dark bone."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from simulations.synthetic.bone.hospitals import ImageFormat

__all__ = ["image_suffix", "write_image"]

BITS = 12  # stored in 16
PIXEL_MM = 0.6


def image_suffix(image_format: ImageFormat) -> str:
    """How files of that format end."""
    return ".png" if image_format == "png" else ".dcm"


def write_image(
    path: Path, brightness: NDArray[np.float32], image_format: ImageFormat, *, case_id: str, image_id: str
) -> None:
    """Write (rows, columns) in 0 to 1, bone bright; equal arguments give equal bytes: no date is written."""
    if image_format == "png":
        Image.fromarray(np.rint(brightness * 255).astype(np.uint8)).save(path, format="PNG")
        return
    most = 2**BITS - 1
    stored = np.rint(brightness * most).astype(np.uint16)
    if image_format == "monochrome1":  # large values are dark
        stored = most - stored
    _dicom(path, stored, image_format.upper(), case_id, image_id)


def _dicom(path: Path, stored: NDArray[np.uint16], photometric: str, case_id: str, image_id: str) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = _uid(image_id)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _uid("mmfed")
    file = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.StudyInstanceUID, file.SeriesInstanceUID = _uid(f"{case_id} study"), _uid(f"{image_id} series")
    file.PatientName, file.PatientID = "Synthetic^Patient", case_id
    file.Modality, file.BurnedInAnnotation = "DX", "NO"
    file.PixelSpacing = [PIXEL_MM, PIXEL_MM]
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, photometric
    file.Rows, file.Columns = stored.shape
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, BITS, BITS - 1, 0
    file.WindowCenter, file.WindowWidth = 2 ** (BITS - 1), 2**BITS
    file.PixelData = stored.astype("<u2").tobytes()
    file.save_as(path, enforce_file_format=True)


def _uid(text: str) -> UID:
    """A UID of the 2.25 tree that depends on the text alone."""
    return UID(f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:15], 'big')}")
