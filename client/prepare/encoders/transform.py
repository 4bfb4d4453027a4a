"""What a tile goes through before the encoder sees it."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.errors import EncoderError

__all__ = ["Network", "Transform"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Transform:
    """`mean` and `std` of RGB in [0, 1]; `side` px is the only size the network takes (0 = any of at least `least`)."""

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    side: int = 0
    least: int = 1

    def fit(self, tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Tiles (B, H, W, 3) at a size that the network takes, resampled bilinearly where it takes one size only.

        Raises
        ------
        EncoderError
            The tiles are smaller than the network allows.
        """
        height, width = tiles.shape[1:3]
        if min(height, width) < self.least:
            raise EncoderError(
                f"expected tiles of at least {self.least} px for this encoder, got {width} x {height}; "
                "ask for larger tiles, or for another encoder"
            )
        if not self.side or (height, width) == (self.side, self.side):
            return tiles
        pixels = torch.from_numpy(tiles).permute(0, 3, 1, 2).float()
        size = (self.side, self.side)
        resized = nn.functional.interpolate(pixels, size, mode="bilinear", antialias=True, align_corners=False)
        return np.ascontiguousarray(resized.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).numpy())


class Network(nn.Module):
    """An encoder with its normalisation in front: (B, H, W, 3) uint8 RGB -> (B, dim) float32."""

    mean: Tensor
    scale: Tensor

    def __init__(self, body: nn.Module, transform: Transform) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("mean", torch.tensor(transform.mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("scale", torch.tensor(transform.std).view(1, 3, 1, 1) * 255)

    def forward(self, tiles: Tensor) -> Tensor:
        """Features of tiles (B, H, W, 3); the view as (B, 3, H, W) is channels-last in memory as it stands."""
        pixels = (tiles.permute(0, 3, 1, 2).float() - self.mean) / self.scale
        features: Tensor = self.body(pixels)
        return features.flatten(1).float()
