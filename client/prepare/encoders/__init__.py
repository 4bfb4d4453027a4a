"""Frozen image encoders: which there are, where their weights come from, and how they run on this machine."""

from client.prepare.encoders.build import build_encoder, encoder_recipe, encoder_sha256
from client.prepare.encoders.engine import Encoder

__all__ = ["Encoder", "build_encoder", "encoder_recipe", "encoder_sha256"]
