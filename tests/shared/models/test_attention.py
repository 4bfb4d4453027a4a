import pytest
import torch
from torch import nn

from shared.models.attention import GatedPool, MultiHeadAttention, SelfAttentionBlock, masked_softmax


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_masked_softmax_shares_among_what_is_visible():
    scores = torch.tensor([[0.0, 0.0, 50.0], [1.0, 2.0, 3.0]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert masked_softmax(scores, mask).tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize("heads", [1, 4])
def test_attention_equals_torch(heads):
    torch.manual_seed(0)
    ours, theirs = MultiHeadAttention(8, heads), nn.MultiheadAttention(8, heads, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.q.weight, ours.k.weight, ours.v.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.q.bias, ours.k.bias, ours.v.bias]))
        theirs.out_proj.weight.copy_(ours.o.weight)
        theirs.out_proj.bias.copy_(ours.o.bias)
    query, key = torch.randn(3, 5, 8), torch.randn(3, 4, 8)
    mask = torch.tensor([[True] * 4, [True, False, False, False], [True, True, False, True]])
    expected, _ = theirs(query, key, key, key_padding_mask=~mask)
    torch.testing.assert_close(ours(query, key, mask), expected)


def test_a_row_without_keys_gives_the_bias_of_the_last_layer():
    attention = MultiHeadAttention(8, 2)
    nothing = torch.zeros(2, 4, dtype=torch.bool)
    got = attention(torch.randn(2, 3, 8), torch.randn(2, 4, 8), nothing)
    torch.testing.assert_close(got, attention.o.bias.expand(2, 3, 8))


def test_pool_weighs_by_content_times_gate():
    pool = GatedPool(1, 1)
    with torch.no_grad():
        for weight in pool.parameters():
            weight.zero_()
        pool.content.weight.fill_(100.0)  # tanh is the sign of x, the gate is 1/2
        pool.score.weight.fill_(2.0)
    x = torch.tensor([[[3.0], [-3.0], [9.0]]])
    pooled, weights = pool(x, torch.tensor([[True, True, False]]))
    share = 1 / (1 + torch.exp(torch.tensor(-2.0)))  # scores 1 and -1
    torch.testing.assert_close(weights, torch.tensor([[share, 1 - share, 0.0]]))
    torch.testing.assert_close(pooled, (6 * share - 3)[None, None])


def test_sizes_are_those_of_the_specification():
    assert parameters(MultiHeadAttention(256, 8)) == 263_168
    assert parameters(SelfAttentionBlock(256, 8)) == 263_680
    assert parameters(GatedPool(256, 128)) == 65_921
