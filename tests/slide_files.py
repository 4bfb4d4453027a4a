"""Slides that tests write: TIFF pyramids of several makers, DICOM series, one huge sparse slide, and damaged files."""

import struct
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, generate_uid

__all__ = [
    "tissue_pixels",
    "write_bigtiff",
    "write_dicom_wsi",
    "write_encrypted_pdf",
    "write_encrypted_zip",
    "write_generic_tiff",
    "write_huge_slide",
    "write_pyramid",
    "write_single_level",
    "write_truncated",
]

Pixels = NDArray[np.uint8]  # (height, width, 3)


def tissue_pixels(height: int, width: int, seed: int = 0) -> Pixels:
    """Glass with a round, coarsely textured pink and violet section that fills most of it."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 256, (-(-height // 6), -(-width // 6)), dtype=np.uint8)
    texture = np.asarray(Image.fromarray(texture).resize((width, height), Image.Resampling.BILINEAR), dtype=float)
    share = (texture / 255)[..., None]
    stained = share * np.array([225, 150, 200]) + (1 - share) * np.array([110, 60, 150])
    y, x = np.ogrid[:height, :width]
    inside = ((y / height - 0.5) ** 2 + (x / width - 0.5) ** 2 < 0.16)[..., None]
    return np.where(inside, stained, 243.0).round().astype(np.uint8)


def write_pyramid(
    path: Path,
    pixels: Pixels,
    *,
    maker: Literal["aperio", "generic"] = "aperio",
    downsamples: Sequence[int] = (1, 4),
    tile: int = 256,
    jpeg_quality: int = 90,
    mpp: float | None = 0.5,
    colours: Literal["rgb", "ycbcr"] = "ycbcr",
    compression: str | None = "jpeg",
    bigtiff: bool = False,
    resolution: tuple[float, float] | None = None,
    unit: str = "CENTIMETER",
) -> Path:
    """Write (height, width, 3) uint8 as a tiled TIFF with one page a downsample, all whole numbers from 1 upwards.

    `mpp` is written as the maker does: in Aperio's description, in a generic TIFF as its resolution tags; None leaves
    it out. `resolution` (x, y in px per `unit`) writes resolution tags of one's own instead.
    """
    height, width, _ = pixels.shape
    if resolution is None and mpp is not None and maker == "generic":
        resolution = (1e4 / mpp, 1e4 / mpp)
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as tiff:
        for number, downsample in enumerate(downsamples):
            level = _mean(pixels, downsample)
            size = f"{width}x{height} ({tile}x{tile})" + (f" -> {level.shape[1]}x{level.shape[0]}" if number else "")
            stated = "" if mpp is None else f"|AppMag = 20|MPP = {mpp:.4f}"
            jpeg = compression == "jpeg"
            tiff.write(
                (_jpeg(part, jpeg_quality, colours) for part in _parts(level, tile)) if jpeg else level,
                shape=level.shape,
                dtype=level.dtype,
                photometric="ycbcr" if jpeg and colours == "ycbcr" else "rgb",
                subsampling=(2, 2) if jpeg and colours == "ycbcr" else None,
                tile=(tile, tile),
                compression=compression,
                compressionargs={"outcolorspace": "rgb"} if jpeg and colours == "rgb" else None,
                subfiletype=1 if number else 0,
                metadata=None,
                software=False,
                maxworkers=1,
                resolution=resolution,
                resolutionunit=None if resolution is None else unit,
                description=f"Aperio Image Library v11.2.1\n{size} JPEG/RGB{stated}" if maker == "aperio" else None,
            )
    return path


def write_generic_tiff(path: Path, pixels: Pixels, **options: object) -> Path:
    """A tiled pyramid of no maker, as `vips tiffsave --tile --pyramid` writes it; options as in `write_pyramid`."""
    return write_pyramid(path, pixels, maker="generic", **options)  # type: ignore[arg-type]


def write_bigtiff(path: Path, pixels: Pixels, **options: object) -> Path:
    """The same with 64-bit offsets."""
    return write_pyramid(path, pixels, maker="generic", bigtiff=True, **options)  # type: ignore[arg-type]


def write_single_level(path: Path, pixels: Pixels, **options: object) -> Path:
    """The same without smaller levels."""
    return write_pyramid(path, pixels, maker="generic", downsamples=(1,), **options)  # type: ignore[arg-type]


def write_dicom_wsi(
    folder: Path, pixels: Pixels, *, mpp: float = 0.5, tile: int = 256, downsamples: Sequence[int] = (1, 4)
) -> Path:
    """Write a whole-slide series, one JPEG-compressed `level<n>.dcm` a downsample, into `folder`; returns the first."""
    folder.mkdir(parents=True, exist_ok=True)
    study, series, frame, dimensions = (generate_uid(entropy_srcs=[str(folder.name), name]) for name in "abcd")
    paths = []
    for number, downsample in enumerate(downsamples):
        level = _mean(pixels, downsample)
        data = _dicom_level(level, tile, mpp * downsample, number)
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = study, series, frame
        data.DimensionOrganizationSequence = [_dataset(DimensionOrganizationUID=dimensions)]
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        paths.append(folder / f"level{number}.dcm")
        data.save_as(paths[-1], enforce_file_format=True)
    return paths[0]


def _dicom_level(level: Pixels, tile: int, mpp: float, number: int) -> Dataset:
    height, width, _ = level.shape
    frames = [bytes(imagecodecs.jpeg8_encode(part, level=90, subsampling="422")) for part in _parts(level, tile)]
    spacing = _dataset(PixelSpacing=[mpp / 1e3, mpp / 1e3], SliceThickness=0.001)
    data = _dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6",
        SOPInstanceUID=generate_uid(entropy_srcs=[f"{number}", f"{width}x{height}"]),
        Modality="SM",
        ImageType=[
            "ORIGINAL" if number == 0 else "DERIVED",
            "PRIMARY",
            "VOLUME",
            "NONE" if number == 0 else "RESAMPLED",
        ],
        PatientID="",
        PatientName="",
        StudyID="",
        SeriesNumber=1,
        InstanceNumber=number + 1,
        Rows=tile,
        Columns=tile,
        TotalPixelMatrixRows=height,
        TotalPixelMatrixColumns=width,
        TotalPixelMatrixFocalPlanes=1,
        NumberOfFrames=len(frames),
        NumberOfOpticalPaths=1,
        DimensionOrganizationType="TILED_FULL",
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation="YBR_FULL_422",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        ImagedVolumeWidth=width * mpp / 1e3,
        ImagedVolumeHeight=height * mpp / 1e3,
        ImagedVolumeDepth=0.001,
        SpecimenLabelInImage="NO",
        BurnedInAnnotation="NO",
        LossyImageCompression="01",
        SharedFunctionalGroupsSequence=[_dataset(PixelMeasuresSequence=[spacing])],
        OpticalPathSequence=[_dataset(OpticalPathIdentifier="1", ObjectiveLensPower=20)],
    )
    data.PixelData = encapsulate(frames)
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    return data


def _dataset(**values: object) -> Dataset:
    data = Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return data


def write_huge_slide(path: Path, *, width: int = 100_000, height: int = 80_000, mpp: float = 0.5) -> Path:
    """An Aperio slide of that size in a few MB: all its glass is one stored tile, and its tissue nine more.

    The tissue is one square of 16,384 px in the middle. Levels of 1, 4, 16 and 64.
    """
    rng = np.random.default_rng(0)
    white = _jpeg(np.full((256, 256, 3), 243, dtype=np.uint8))
    section = tissue_pixels(1024, 1024)[256:768, 256:768]  # all stained
    stained = [_jpeg(section[y : y + 256, x : x + 256]) for y in (0, 128, 256) for x in (0, 128, 256)]
    pages = []
    for number, downsample in enumerate((1, 4, 16, 64)):
        columns, rows = width // downsample, height // downsample
        y, x = np.ogrid[: -(-rows // 256), : -(-columns // 256)]
        square = 64 // downsample  # tiles of this level to a tile of the last
        inside = (y // square == height // 2 // 16384) & (x // square == width // 2 // 16384)
        which = np.where(inside, rng.integers(1, 1 + len(stained), inside.shape), 0)
        size = f"{width}x{height} (256x256)" + (f" -> {columns}x{rows}" if number else "")
        text = f"Aperio Image Library v11.2.1\n{size} JPEG/RGB Q=90|AppMag = 20|MPP = {mpp:.4f}"
        pages.append((columns, rows, which.ravel(), text))
    _write_shared_tiles(path, [white, *stained], pages)
    return path


def _write_shared_tiles(
    path: Path, tiles: Sequence[bytes], pages: Sequence[tuple[int, int, NDArray[np.int64], str]]
) -> None:
    """A classic TIFF of 256 px JPEG tiles in which many entries of a page point at the same stored tile.

    A page is (width, height, number of the stored tile at each place, description).
    """
    starts = 8 + np.cumsum([0, *(len(tile) + len(tile) % 2 for tile in tiles)])
    with path.open("wb") as file:
        file.write(struct.pack("<2sHI", b"II", 42, int(starts[-1])))
        for tile in tiles:
            file.write(tile + b"\0" * (len(tile) % 2))
        for number, (width, height, which, text) in enumerate(pages):
            sizes = np.array([len(tile) for tile in tiles])[which]
            entries: list[tuple[int, int, bytes]] = [  # tag, type (2 text, 3 short, 4 long), value
                (254, 4, struct.pack("<I", 1 if number else 0)),
                (256, 4, struct.pack("<I", width)),
                (257, 4, struct.pack("<I", height)),
                (258, 3, struct.pack("<3H", 8, 8, 8)),
                (259, 3, struct.pack("<H", 7)),
                (262, 3, struct.pack("<H", 6)),
                (270, 2, text.encode() + b"\0"),
                (277, 3, struct.pack("<H", 3)),
                (284, 3, struct.pack("<H", 1)),
                (322, 3, struct.pack("<H", 256)),
                (323, 3, struct.pack("<H", 256)),
                (324, 4, starts[which].astype("<u4").tobytes()),
                (325, 4, sizes.astype("<u4").tobytes()),
                (530, 3, struct.pack("<2H", 2, 2)),
            ]
            _write_directory(file, entries, last=number == len(pages) - 1)


def _write_directory(file: BinaryIO, entries: Sequence[tuple[int, int, bytes]], *, last: bool) -> None:
    start = file.tell()
    values = start + 2 + 12 * len(entries) + 4
    head, tail = struct.pack("<H", len(entries)), b""
    for tag, kind, value in entries:
        count = len(value) // {2: 1, 3: 2, 4: 4}[kind]
        if len(value) > 4:
            head += struct.pack("<HHII", tag, kind, count, values + len(tail))
            tail += value + b"\0" * (len(value) % 2)
        else:
            head += struct.pack("<HHI4s", tag, kind, count, value)
    head += struct.pack("<I", 0 if last else values + len(tail))
    file.write(head + tail)


def write_truncated(path: Path, whole: Path, share: float = 0.6) -> Path:
    """The first `share` of another file's bytes: a copy that broke off."""
    data = whole.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def write_encrypted_zip(path: Path) -> Path:
    """The head of a zip archive whose only member needs a password."""
    name = b"slide.svs"
    path.write_bytes(struct.pack("<4s5H3I2H", b"PK\3\4", 20, 1, 0, 0, 0, 0, 64, 52, len(name), 0) + name + bytes(64))
    return path


def write_encrypted_pdf(path: Path) -> Path:
    """A PDF whose trailer says that it is encrypted."""
    path.write_bytes(b"%PDF-1.7\n1 0 obj\n<< >>\nendobj\ntrailer\n<< /Root 1 0 R /Encrypt 2 0 R >>\n%%EOF\n")
    return path


def _mean(pixels: Pixels, factor: int) -> Pixels:
    """Means of factor x factor blocks; what is left over at the right and at the bottom is dropped."""
    rows, columns = pixels.shape[0] // factor, pixels.shape[1] // factor
    blocks = pixels[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor, 3)
    return np.asarray(np.rint(blocks.mean(axis=(1, 3), dtype=np.float32)), dtype=np.uint8)


def _parts(pixels: Pixels, tile: int) -> Iterator[Pixels]:
    """The tiles of a picture, row by row; those over the border repeat its last pixels."""
    height, width, _ = pixels.shape
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            part = pixels[top : top + tile, left : left + tile]
            yield np.pad(part, ((0, tile - part.shape[0]), (0, tile - part.shape[1]), (0, 0)), mode="edge")


def _jpeg(pixels: Pixels, quality: int = 90, colours: Literal["rgb", "ycbcr"] = "ycbcr") -> bytes:
    """A JPEG stream with its own tables; "rgb" is stored as Aperio's scanners do, without a change of colour space."""
    if colours == "rgb":
        return bytes(imagecodecs.jpeg8_encode(pixels, level=quality, colorspace="RGB", outcolorspace="RGB"))
    picture = BytesIO()
    Image.fromarray(pixels).save(picture, "JPEG", quality=quality)
    return picture.getvalue()
