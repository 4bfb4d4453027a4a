"""What a training changes of a picture at random: mirrored, brighter or darker, moved and scaled. No mosaic."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["augmented"]

GAIN, SHIFT, ZOOM = 0.3, 0.1, 0.25
"""Brightness changes by up to this share, the middle by that of the side, the size by that share."""
LEFT = 0.2  # share of a box that must still be seen
BACKGROUND = 114 / 255


def augmented(picture: Tensor, boxes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A picture (3, S, S) in [0, 1] and its boxes (m, 4), changed alike."""
    draw = (2 * torch.rand(6, generator=generator) - 1).tolist()
    side = picture.shape[-1]
    boxes = boxes.clone()
    if draw[0] > 0:
        picture, boxes[:, [0, 2]] = picture.flip(2), side - boxes[:, [2, 0]]
    if draw[1] > 0:
        picture, boxes[:, [1, 3]] = picture.flip(1), side - boxes[:, [3, 1]]
    picture = (picture * (1 + GAIN * draw[2])).clamp(0, 1)
    zoom, shift = 1 + ZOOM * draw[3], torch.tensor([SHIFT * draw[4], SHIFT * draw[5]])
    seen = torch.tensor([[1 / zoom, 0, -2 * shift[0] / zoom], [0, 1 / zoom, -2 * shift[1] / zoom]])
    grid = functional.affine_grid(seen[None], [1, *picture.shape], align_corners=False)
    moved = functional.grid_sample(picture[None] - BACKGROUND, grid, align_corners=False)[0] + BACKGROUND
    centre = side / 2
    placed = (boxes - centre) * zoom + centre + side * torch.cat([shift, shift])
    cut = placed.clamp(0, side)
    area, before = ((part[:, 2:] - part[:, :2]).prod(dim=1) for part in (cut, placed))
    return moved, cut[area > LEFT * before]
