"""Read a clinical image, PNG, JPEG or DICOM, as an RGB picture."""

import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from client.prepare.imaging.grey import full_range
from shared.errors import ImageError

__all__ = ["Picture", "read_picture"]

DAMAGED = (EOFError, IndexError, KeyError, OSError, SyntaxError, TypeError, ValueError, struct.error, zlib.error)
"""What Pillow raises for files it cannot make sense of."""

SIGNATURES = (b"\x89PNG", b"\xff\xd8")
"""How PNG and JPEG files begin."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One image as a reader would see it."""

    pixels: NDArray[np.uint8]  # (H, W, 3) RGB
    note: str = ""  # what a person should look at, "" for nothing

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px."""
        return self.pixels.shape[1], self.pixels.shape[0]


def read_picture(path: Path) -> Picture:
    """Read an image by what its bytes say it is, whatever its name.

    A JPEG is turned as its EXIF orientation says. Values of 16 bits are stretched between percentiles as in DICOM.

    Raises
    ------
    ImageError
        The file is empty, truncated, of another format, too large, or a DICOM object that `read_dicom` refuses.
    """
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError as exc:
        raise ImageError(f"expected a readable file, got {exc.strerror}; check its permissions") from exc
    if not head:
        raise ImageError("expected an image, got an empty file; copy it again")
    if head[128:] == b"DICM" or path.suffix.lower() == ".dcm":
        from client.prepare.imaging.dicom import read_dicom  # pydicom is slow to import

        return Picture(*read_dicom(path))
    return Picture(_read_photograph(path, head))


def _read_photograph(path: Path, head: bytes) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")  # odd metadata; a damaged picture raises
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                return _rgb(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as exc:
        raise ImageError(f"expected at most {Image.MAX_IMAGE_PIXELS} pixels, got more; export it smaller") from exc
    except DAMAGED as exc:
        if isinstance(exc, UnidentifiedImageError) and not head.startswith(SIGNATURES):
            raise ImageError("expected a PNG, JPEG or DICOM file, got another format; export it again") from exc
        raise ImageError("expected a whole image, got a damaged or truncated one; copy it again") from exc


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.format == "PNG" and getattr(image, "n_frames", 1) != 1:
        raise ImageError(
            f"expected one picture, got {getattr(image, 'n_frames', 1)} frames; export the one that shows the lesion"
        )
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit grey
        grey = full_range(np.asarray(image, dtype=np.float64))
        return np.repeat(grey[..., np.newaxis], 3, axis=2)
    if image.has_transparency_data:  # on black, the background of a radiograph
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
    return np.array(image.convert("RGB"))
