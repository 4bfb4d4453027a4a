"""Names of the frozen slide encoders and how wide a feature is; what they are stands in client/prepare/encoders.py."""

__all__ = ["ENCODER_WIDTHS"]

ENCODER_WIDTHS: dict[str, int] = {"mobilenet_v2": 1280, "resnet50": 2048}
"""Encoder name -> numbers in one patch feature."""
