"""DICOM files as a PACS would export them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian

WriteDicom = Callable[..., Path]


def dicom(pixels: np.ndarray | None, **tags: Any) -> Dataset:
    """A data set of pixels (H, W) or (H, W, 3), unsigned, and further tags; None leaves a tag out."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"  # computed radiography
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    data.PatientName = "Doe^Jane"
    data.PatientID = "SECRET-1"
    if pixels is not None:
        data.Rows, data.Columns = pixels.shape[:2]
        data.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
        data.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = pixels.dtype.itemsize * 8
        data.HighBit = data.BitsStored - 1
        data.PixelRepresentation = int(pixels.dtype.kind == "i")
        if pixels.ndim == 3:
            data.PlanarConfiguration = 0
        data.PixelData = pixels.tobytes()
        data["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for name, value in tags.items():
        if value is None:
            del data[name]
        else:
            setattr(data, name, value)
    return data


@pytest.fixture
def write_dicom(tmp_path: Path) -> WriteDicom:
    """Write a DICOM file of pixels and tags; `frame` and `syntax` replace the pixels by a compressed stream."""

    def write(
        pixels: np.ndarray | None, name: str = "image.dcm", frame: bytes = b"", syntax: str = "", **tags: Any
    ) -> Path:
        data = dicom(pixels, **tags)
        if syntax:
            data.file_meta.TransferSyntaxUID = syntax
            data.PixelData = encapsulate([frame])
            data["PixelData"].is_undefined_length = True
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data.save_as(path, enforce_file_format=True)
        return path

    return write
