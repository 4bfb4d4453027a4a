"""One hash of all that decides what a frozen encoder makes of an input: another recipe, other features."""

from pathlib import Path

from client.prepare.encoders.scaling import Scaling
from shared.digests import sha256_file, sha256_json

__all__ = ["recipe_sha256"]

SETTINGS = {".json", ".model", ".txt"}
"""Endings of the files beside a model's weights that decide what it does: its settings and its tokenizer."""


def recipe_sha256(weights: str, folder: Path | None, *, scale: Scaling | None = None, architecture: str = "") -> str:
    """SHA-256 of an encoder's recipe.

    Parameters
    ----------
    weights
        SHA-256 of the weights.
    folder
        Of a model with files beside its weights; None where there are none.
    scale, architecture
        How pictures are scaled, None for text; which network a file of tensors belongs to, as the site file says.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix in SETTINGS and path.is_file()) if folder else []
    return sha256_json(
        {
            "weights": weights,
            "scaling": scale,
            "architecture": architecture,
            "files": {path.name: sha256_file(path) for path in files},
        }
    )
