"""A pydicom decoder for the kinds of JPEG that Pillow lacks and radiographs come in: lossless, JPEG-LS, 12 bit."""

import imagecodecs
import numpy as np
from pydicom import uid
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder

__all__ = ["DECODER_DEPENDENCIES", "decode_frame", "is_available", "register"]

CODECS = {
    uid.JPEGExtended12Bit: imagecodecs.jpeg8_decode,
    uid.JPEGLossless: imagecodecs.jpegsof3_decode,
    uid.JPEGLosslessSV1: imagecodecs.jpegsof3_decode,
    uid.JPEGLSLossless: imagecodecs.jpegls_decode,
    uid.JPEGLSNearLossless: imagecodecs.jpegls_decode,
}
DECODER_DEPENDENCIES = dict.fromkeys(CODECS, ("imagecodecs",))
"""Asked for by pydicom."""


def register() -> None:
    """Add the codecs to pydicom, once a process."""
    for syntax in CODECS:
        decoder = get_decoder(syntax)
        if "imagecodecs" not in decoder.available_plugins:
            decoder.add_plugin("imagecodecs", (__name__, "decode_frame"))


def is_available(syntax: str) -> bool:
    """Whether frames of a transfer syntax can be decoded here; asked for by pydicom."""
    return syntax in CODECS


def decode_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """The samples of one frame, interleaved by pixel; RuntimeError or ValueError for a damaged stream."""
    frame: np.ndarray[tuple[int, ...], np.dtype[np.generic]] = CODECS[runner.transfer_syntax](src)
    runner.set_option("bits_allocated", frame.dtype.itemsize * 8)
    if frame.ndim == 3:
        runner.set_option("planar_configuration", 0)
    return frame.tobytes()
