import numpy as np
import pytest
import torch

from client.prepare.encoders.transform import Network, Transform
from shared.errors import EncoderError


def test_a_pixel_is_scaled_by_mean_and_standard_deviation():
    network = Network(torch.nn.AdaptiveAvgPool2d(1), Transform(mean=(0.5, 0.2, 0), std=(0.5, 0.1, 1)))
    tiles = torch.tensor([255, 51, 102], dtype=torch.uint8).expand(1, 2, 2, 3)  # 1, .2 and .4 of 255
    torch.testing.assert_close(network(tiles), torch.tensor([[1.0, 0.0, 0.4]]))


def test_tiles_are_resampled_only_for_a_network_of_one_size():
    tiles = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    tiles[:, :, 2:] = 200  # right half
    assert Transform().fit(tiles) is tiles
    assert Transform(side=4).fit(tiles) is tiles
    half = Transform(side=2).fit(tiles)
    assert (half.shape, half.dtype) == ((2, 2, 2, 3), np.uint8)
    assert half[0, 0, 0, 0] < 40  # its neighbours enter a little: the filter is a triangle
    assert half[0, 0, 1, 0] > 160


def test_tiles_smaller_than_the_network_allows_are_refused():
    with pytest.raises(EncoderError, match="expected tiles of at least 75 px for this encoder, got 64 x 80; ask for"):
        Transform(least=75).fit(np.zeros((1, 80, 64, 3), dtype=np.uint8))
